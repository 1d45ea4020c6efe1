// SPDX-License-Identifier: GPL-2.0-or-later
// `iifname`, `oifname`. A whole name is compared with all the bytes that an interface's has room
// for (IFNAMSIZ), a prefix with its own.
#include <net/if.h>

#include <algorithm>
#include <string_view>

#include <linux/netfilter/nf_tables.h>

#include "rules/error.h"
#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {
namespace {

void encode_interface(Expressions& expressions, const Interface& interface, std::uint32_t key) {
  std::string_view name = interface.name;
  const bool prefix = name.ends_with('+');
  if (prefix) name.remove_suffix(1);
  if (name.empty() || name.size() >= IFNAMSIZ) {
    throw Error("interface " + quote(interface.name) + " cannot be matched by nf_tables");
  }
  Bytes bytes(name.begin(), name.end());
  if (!prefix) bytes.resize(IFNAMSIZ);
  append(expressions,
         {.field = MetaField{key}, .first = std::move(bytes), .negated = interface.negated});
}

std::optional<Interface> read_interface(const Comparison& comparison) {
  const Bytes& bytes = comparison.first;
  std::string name(bytes.begin(), std::find(bytes.begin(), bytes.end(), 0));
  if (bytes.size() != IFNAMSIZ) name += '+';
  // What ends with it in earnest cannot be told from a prefix.
  const bool ambiguous = bytes.size() == IFNAMSIZ && name.ends_with('+');
  if (ambiguous || comparison.last || !comparison.mask.empty()) return std::nullopt;
  return Interface{.name = std::move(name), .negated = comparison.negated};
}

}  // namespace

void encode_in(Expressions& expressions, const Interface& interface) {
  encode_interface(expressions, interface, NFT_META_IIFNAME);
}

void encode_out(Expressions& expressions, const Interface& interface) {
  encode_interface(expressions, interface, NFT_META_OIFNAME);
}

bool decode_interface(const Comparison& comparison, model::Rule& rule) {
  const bool in = comparison.field == Field(MetaField{NFT_META_IIFNAME});
  if (!in && comparison.field != Field(MetaField{NFT_META_OIFNAME})) return false;
  std::optional<Interface>& interface = in ? rule.rule.in : rule.rule.out;
  if (interface || !comparison.set.empty()) return false;
  interface = read_interface(comparison);
  return interface.has_value();
}

}  // namespace sluice::kernel::nft

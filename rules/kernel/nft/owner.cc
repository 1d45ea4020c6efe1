// SPDX-License-Identifier: GPL-2.0-or-later
// `meta skuid`, `meta skgid`: numbers in the host's byte order, turned round where a range is
// compared byte by byte. Unlike iptables' match, a packet without a socket is not matched by a
// negated one either.
#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {
namespace {

void encode_ids(Expressions& expressions, const OwnerRange& ids, std::uint32_t key) {
  Comparison comparison{.field = MetaField{key}, .negated = ids.negated};
  if (ids.first == ids.last) {
    comparison.first = host_order(ids.first);
  } else {
    comparison.network_order = true;
    comparison.first = network_order(ids.first, sizeof ids.first);
    comparison.last = network_order(ids.last, sizeof ids.last);
  }
  append(expressions, comparison);
}

std::optional<OwnerRange> read_ids(const Comparison& comparison) {
  const Bytes& first = comparison.first;
  if (first.size() != sizeof(std::uint32_t) || !comparison.mask.empty()) return std::nullopt;
  if (!comparison.last) {
    const auto id = from_host_order<std::uint32_t>(first);
    return OwnerRange{.first = id, .last = id, .negated = comparison.negated};
  }
  if (comparison.last->size() != first.size()) return std::nullopt;
  return OwnerRange{.first = static_cast<std::uint32_t>(from_network_order(first)),
                    .last = static_cast<std::uint32_t>(from_network_order(*comparison.last)),
                    .negated = comparison.negated};
}

}  // namespace

void encode(Expressions& expressions, const Owner& owner) {
  if (owner.uid) encode_ids(expressions, *owner.uid, NFT_META_SKUID);
  if (owner.gid) encode_ids(expressions, *owner.gid, NFT_META_SKGID);
}

bool decode_owner(const Comparison& comparison, model::Rule& rule) {
  const bool uid = comparison.field == Field(MetaField{NFT_META_SKUID});
  if (!uid && comparison.field != Field(MetaField{NFT_META_SKGID})) return false;
  const std::optional<OwnerRange> ids = read_ids(comparison);
  if (!ids) return false;
  auto* last = last_match<Owner>(rule);
  if (uid) {
    rule.rule.matches.emplace_back(Owner{.uid = ids});
  } else if (last != nullptr && !last->gid) {
    last->gid = ids;
  } else {
    rule.rule.matches.emplace_back(Owner{.gid = ids});
  }
  return true;
}

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
// `tcp flags`: byte 13 of the header.
#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {
namespace {

constexpr HeaderField flags_field{.base = NFT_PAYLOAD_TRANSPORT_HEADER, .offset = 13, .length = 1};

}  // namespace

void encode_flags(Expressions& expressions, const TcpFlags& flags) {
  append(expressions, {.field = flags_field,
                       .mask = {flags.mask},
                       .first = {flags.compare},
                       .negated = flags.negated});
}

bool decode_flags(const Comparison& comparison, model::Rule& rule) {
  if (rule.rule.protocol != Protocol::tcp || comparison.field != Field(flags_field)) return false;
  if (comparison.mask.size() != 1 || comparison.first.size() != 1) return false;
  const TcpFlags flags{.mask = comparison.mask.front(),
                       .compare = comparison.first.front(),
                       .negated = comparison.negated};
  Tcp* last = last_match<Tcp>(rule);
  if (last != nullptr && !last->flags) {
    last->flags = flags;
  } else {
    rule.rule.matches.emplace_back(Tcp{.flags = flags});
  }
  return true;
}

}  // namespace sluice::kernel::nft

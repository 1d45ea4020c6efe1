// SPDX-License-Identifier: GPL-2.0-or-later
// `meta l4proto`.
#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {

void encode_protocol(Expressions& expressions, Protocol protocol) {
  append(expressions,
         {.field = MetaField{NFT_META_L4PROTO}, .first = {static_cast<std::uint8_t>(protocol)}});
}

bool decode_protocol(const Comparison& comparison, model::Rule& rule) {
  if (rule.rule.protocol || comparison.field != Field(MetaField{NFT_META_L4PROTO})) return false;
  if (comparison.first.size() != 1 || comparison.negated) return false;
  rule.rule.protocol = static_cast<Protocol>(comparison.first.front());
  return true;
}

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
// `ct zone set ZONE`.
#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {

void encode(Expressions& expressions, const CtZone& target) {
  expressions.emplace_back(set_register(NFT_REG_1, host_order(target.zone)));
  expressions.emplace_back(expr::Ct{.key = NFT_CT_ZONE, .reg = NFT_REG_1, .set = true});
}

std::optional<Target> decode_ct_zone(const Expressions& statements) {
  std::size_t position = 0;
  const auto* zone = take<expr::Immediate>(statements, position);
  if (zone == nullptr || zone->data.size() != sizeof(std::uint16_t)) return std::nullopt;
  if (take<expr::Ct>(statements, position) == nullptr) return std::nullopt;
  return CtZone{from_host_order<std::uint16_t>(zone->data)};
}

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
// `redirect to :PORT`.
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {

void encode(Expressions& expressions, const Redirect& target) {
  expressions.emplace_back(set_register(NFT_REG_1, network_order(target.port, sizeof target.port)));
  expressions.emplace_back(expr::Redir{.port = NFT_REG_1, .flags = NF_NAT_RANGE_PROTO_SPECIFIED});
}

std::optional<Target> decode_redirect(const Expressions& statements) {
  std::size_t position = 0;
  const auto* port = take<expr::Immediate>(statements, position);
  if (port == nullptr || port->data.size() != sizeof(std::uint16_t)) return std::nullopt;
  if (take<expr::Redir>(statements, position) == nullptr) return std::nullopt;
  return Redirect{static_cast<std::uint16_t>(from_network_order(port->data))};
}

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
// `reject with tcp reset`, `reject with icmpx port-unreachable`, which is each family's own.
#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {

void encode(Expressions& expressions, const RejectWithTcpReset& /*target*/) {
  expressions.emplace_back(expr::Reject{.type = NFT_REJECT_TCP_RST, .code = 0});
}

void encode(Expressions& expressions, const RejectWithPortUnreachable& /*target*/) {
  expressions.emplace_back(
      expr::Reject{.type = NFT_REJECT_ICMPX_UNREACH, .code = NFT_REJECT_ICMPX_PORT_UNREACH});
}

std::optional<Target> decode_reject(const Expressions& statements) {
  std::size_t position = 0;
  const auto* reject = take<expr::Reject>(statements, position);
  if (reject == nullptr) return std::nullopt;
  if (reject->type == NFT_REJECT_TCP_RST) return RejectWithTcpReset{};
  return RejectWithPortUnreachable{};
}

}  // namespace sluice::kernel::nft

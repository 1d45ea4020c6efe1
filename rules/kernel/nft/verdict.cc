// SPDX-License-Identifier: GPL-2.0-or-later
// `accept`, `drop`, `return`, `jump`, `goto`.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {

void encode(Expressions& expressions, const Accept& /*target*/) {
  expressions.emplace_back(expr::Verdict{.code = NF_ACCEPT, .chain = {}});
}

void encode(Expressions& expressions, const Drop& /*target*/) {
  expressions.emplace_back(expr::Verdict{.code = NF_DROP, .chain = {}});
}

void encode(Expressions& expressions, const Return& /*target*/) {
  expressions.emplace_back(expr::Verdict{.code = NFT_RETURN, .chain = {}});
}

std::optional<Target> decode_verdict(const Expressions& statements) {
  std::size_t position = 0;
  const auto* verdict = take<expr::Verdict>(statements, position);
  if (verdict == nullptr || position != statements.size()) return std::nullopt;
  switch (verdict->code) {
    case NF_ACCEPT:
      return Accept{};
    case NF_DROP:
      return Drop{};
    case NFT_RETURN:
      return Return{};
    case NFT_JUMP:
      return Jump{.chain = verdict->chain};
    case NFT_GOTO:
      return Jump{.chain = verdict->chain, .go_to = true};
    default:
      return std::nullopt;
  }
}

void encode(Expressions& expressions, const Jump& target) {
  expressions.emplace_back(
      expr::Verdict{.code = target.go_to ? NFT_GOTO : NFT_JUMP, .chain = target.chain});
}

}  // namespace sluice::kernel::nft

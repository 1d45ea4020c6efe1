// SPDX-License-Identifier: GPL-2.0-or-later
// `meta mark set VALUE`, `meta mark set meta mark & ~MASK ^ VALUE`.
#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {

expr::Immediate set_register(expr::Register reg, Bytes data) {
  return {.reg = reg, .data = std::move(data)};
}

void encode(Expressions& expressions, const SetMark& target) {
  if (target.mask == all_bits) {
    expressions.emplace_back(set_register(NFT_REG_1, host_order(target.value)));
  } else {
    expressions.emplace_back(expr::Meta{.key = NFT_META_MARK, .reg = NFT_REG_1});
    // Nor does nft(8) write what keeps all bits as they are.
    if (target.mask != 0 || target.value != 0) {
      expressions.emplace_back(expr::Bitwise{.source = NFT_REG_1,
                                             .destination = NFT_REG_1,
                                             .mask = host_order(~target.mask),
                                             .value = host_order(target.value)});
    }
  }
  expressions.emplace_back(expr::Meta{.key = NFT_META_MARK, .reg = NFT_REG_1, .set = true});
}

std::optional<SetMark> take_set_mark(const Expressions& statements, std::size_t& position) {
  std::size_t next = position;
  SetMark target;
  if (const auto* immediate = take<expr::Immediate>(statements, next)) {
    if (immediate->data.size() != sizeof target.value) return std::nullopt;
    target.value = from_host_order<std::uint32_t>(immediate->data);
  } else {
    if (take<expr::Meta>(statements, next) == nullptr) return std::nullopt;
    target.mask = 0;
    if (const auto* bitwise = take<expr::Bitwise>(statements, next)) {
      if (bitwise->mask.size() != sizeof target.mask) return std::nullopt;
      target.mask = ~from_host_order<std::uint32_t>(bitwise->mask);
      target.value = from_host_order<std::uint32_t>(bitwise->value);
    }
  }
  const auto* meta = take<expr::Meta>(statements, next);
  if (meta == nullptr || !meta->set) return std::nullopt;
  position = next;
  return target;
}

std::optional<Target> decode_set_mark(const Expressions& statements) {
  std::size_t position = 0;
  const std::optional<SetMark> target = take_set_mark(statements, position);
  if (!target || position != statements.size()) return std::nullopt;
  return *target;
}

}  // namespace sluice::kernel::nft

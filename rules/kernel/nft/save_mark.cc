// SPDX-License-Identifier: GPL-2.0-or-later
// `ct mark set meta mark`, `meta mark set ct mark`.
#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {

void encode(Expressions& expressions, const SaveMark& /*target*/) {
  expressions.emplace_back(expr::Meta{.key = NFT_META_MARK, .reg = NFT_REG_1});
  expressions.emplace_back(expr::Ct{.key = NFT_CT_MARK, .reg = NFT_REG_1, .set = true});
}

void encode(Expressions& expressions, const RestoreMark& /*target*/) {
  expressions.emplace_back(expr::Ct{.key = NFT_CT_MARK, .reg = NFT_REG_1});
  expressions.emplace_back(expr::Meta{.key = NFT_META_MARK, .reg = NFT_REG_1, .set = true});
}

std::optional<Target> decode_save_mark(const Expressions& statements) {
  Expressions save;
  Expressions restore;
  encode(save, SaveMark{});
  encode(restore, RestoreMark{});
  if (statements == save) return SaveMark{};
  if (statements == restore) return RestoreMark{};
  return std::nullopt;
}

}  // namespace sluice::kernel::nft

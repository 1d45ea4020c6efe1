// SPDX-License-Identifier: GPL-2.0-or-later
// `log group GROUP prefix PREFIX`.
#include "rules/error.h"
#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {

void encode(Expressions& expressions, const Nflog& target) {
  if (!is_nflog_prefix(target.prefix)) {
    throw Error("prefix " + quote(target.prefix) + " cannot be logged");
  }
  expressions.emplace_back(expr::Log{.group = target.group, .prefix = target.prefix});
}

std::optional<Target> decode_log(const Expressions& statements) {
  std::size_t position = 0;
  const auto* log = take<expr::Log>(statements, position);
  if (log == nullptr || !is_nflog_prefix(log->prefix)) return std::nullopt;
  return Nflog{.group = log->group, .prefix = log->prefix};
}

}  // namespace sluice::kernel::nft

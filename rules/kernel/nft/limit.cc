// SPDX-License-Identifier: GPL-2.0-or-later
// `limit rate`: packets in a second, minute, hour, day or week, the shortest that gives x_tables'
// period exactly.
#include <array>

#include "rules/error.h"
#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {
namespace {

constexpr std::uint64_t periods_in_second = 10'000;  // XT_LIMIT_SCALE
constexpr std::array<std::uint64_t, 5> units{1, 60, 3600, 86'400, 604'800};

}  // namespace

void encode(Expressions& expressions, const Limit& match) {
  for (const std::uint64_t unit : units) {
    const std::uint64_t length = unit * periods_in_second;
    // The kernel takes a burst of 0 for one of 5.
    if (match.period == 0 || match.burst == 0 || length % match.period != 0) continue;
    expressions.emplace_back(
        expr::Limit{.rate = length / match.period, .unit = unit, .burst = match.burst});
    return;
  }
  throw unsupported("nf_tables cannot limit to exactly one packet in " +
                    std::to_string(match.period) + " times 0.1 ms with a burst of " +
                    std::to_string(match.burst));
}

std::optional<Limit> decode_limit(const expr::Limit& limit) {
  if (limit.rate == 0 || limit.unit > units.back()) return std::nullopt;
  const std::uint64_t length = limit.unit * periods_in_second;
  if (length % limit.rate != 0 || length / limit.rate > all_bits) return std::nullopt;
  return Limit{.period = static_cast<std::uint32_t>(length / limit.rate), .burst = limit.burst};
}

}  // namespace sluice::kernel::nft

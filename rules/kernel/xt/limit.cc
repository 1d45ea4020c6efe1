// SPDX-License-Identifier: GPL-2.0-or-later
// struct xt_rateinfo, revision 0: <linux/netfilter/xt_limit.h>. All but the first two members are
// the kernel's own.
#include <linux/netfilter/xt_limit.h>

#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {

Payload encode(const Limit& match) {
  xt_rateinfo info{};
  info.avg = match.period;
  info.burst = match.burst;
  return make_payload("limit", 0, info);
}

std::optional<Match> decode_limit(const Payload& payload) {
  const auto info = read_payload<xt_rateinfo>(payload, 0);
  if (!info) return std::nullopt;
  return Limit{.period = info->avg, .burst = info->burst};
}

}  // namespace sluice::kernel::xt

// SPDX-License-Identifier: GPL-2.0-or-later
// REJECT, revision 0: struct ipt_reject_info of <linux/netfilter_ipv4/ipt_REJECT.h> and struct
// ip6t_reject_info of <linux/netfilter_ipv6/ip6t_REJECT.h>.
#include <linux/netfilter_ipv4/ipt_REJECT.h>
#include <linux/netfilter_ipv6/ip6t_REJECT.h>

#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {

Payload encode(const RejectWithTcpReset& /*reject*/, Family family) {
  if (family == Family::ipv4) {
    return make_payload("REJECT", 0, ipt_reject_info{.with = IPT_TCP_RESET});
  }
  return make_payload("REJECT", 0, ip6t_reject_info{.with = IP6T_TCP_RESET});
}

std::optional<Target> decode_reject(const Payload& payload, Family family) {
  if (family == Family::ipv4) {
    const auto info = read_payload<ipt_reject_info>(payload, 0);
    if (!info || info->with != IPT_TCP_RESET) return std::nullopt;
  } else {
    const auto info = read_payload<ip6t_reject_info>(payload, 0);
    if (!info || info->with != IP6T_TCP_RESET) return std::nullopt;
  }
  return RejectWithTcpReset{};
}

}  // namespace sluice::kernel::xt

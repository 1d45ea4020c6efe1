// SPDX-License-Identifier: GPL-2.0-or-later
// REJECT, revision 0: struct ipt_reject_info of <linux/netfilter_ipv4/ipt_REJECT.h> and struct
// ip6t_reject_info of <linux/netfilter_ipv6/ip6t_REJECT.h>.
#include <linux/netfilter_ipv4/ipt_REJECT.h>
#include <linux/netfilter_ipv6/ip6t_REJECT.h>

#include "rules/error.h"
#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {
namespace {

Payload reject(Family family, ipt_reject_with ipv4, ip6t_reject_with ipv6) {
  if (family == Family::ipv4) return make_payload("REJECT", 0, ipt_reject_info{.with = ipv4});
  return make_payload("REJECT", 0, ip6t_reject_info{.with = ipv6});
}

}  // namespace

Payload encode(const RejectWithTcpReset& /*reject*/, Family family) {
  return reject(family, IPT_TCP_RESET, IP6T_TCP_RESET);
}

Payload encode(const RejectWithPortUnreachable& target, Family family) {
  if (target.family != family) throw Error("REJECT with an ICMP message of the other family");
  return reject(family, IPT_ICMP_PORT_UNREACHABLE, IP6T_ICMP6_PORT_UNREACH);
}

std::optional<Target> decode_reject(const Payload& payload, Family family) {
  bool resets = false;
  bool unreachable = false;
  if (family == Family::ipv4) {
    const auto info = read_payload<ipt_reject_info>(payload, 0);
    resets = info && info->with == IPT_TCP_RESET;
    unreachable = info && info->with == IPT_ICMP_PORT_UNREACHABLE;
  } else {
    const auto info = read_payload<ip6t_reject_info>(payload, 0);
    resets = info && info->with == IP6T_TCP_RESET;
    unreachable = info && info->with == IP6T_ICMP6_PORT_UNREACH;
  }
  if (resets) return RejectWithTcpReset{};
  if (unreachable) return RejectWithPortUnreachable{family};
  return std::nullopt;
}

}  // namespace sluice::kernel::xt

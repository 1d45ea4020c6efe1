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

Payload encode(const RejectWithTcpReset& /*target*/, Family family) {
  return reject(family, IPT_TCP_RESET, IP6T_TCP_RESET);
}

Payload encode(const RejectWithPortUnreachable& target, Family family) {
  if (target.family != family) throw Error("REJECT with an ICMP message of the other family");
  return reject(family, IPT_ICMP_PORT_UNREACHABLE, IP6T_ICMP6_PORT_UNREACH);
}

std::optional<Target> decode_reject(const Payload& payload, Family family) {
  // Both structures are one enumeration, which must not be loaded with a value that it has not.
  static_assert(sizeof(ipt_reject_info) == sizeof(std::uint32_t));
  static_assert(sizeof(ip6t_reject_info) == sizeof(std::uint32_t));
  const bool ipv4 = family == Family::ipv4;
  const std::optional<std::uint32_t> with = read_payload<std::uint32_t>(payload, 0);
  if (with == (ipv4 ? std::uint32_t{IPT_TCP_RESET} : std::uint32_t{IP6T_TCP_RESET})) {
    return RejectWithTcpReset{};
  }
  if (with ==
      (ipv4 ? std::uint32_t{IPT_ICMP_PORT_UNREACHABLE} : std::uint32_t{IP6T_ICMP6_PORT_UNREACH})) {
    return RejectWithPortUnreachable{family};
  }
  return std::nullopt;
}

}  // namespace sluice::kernel::xt

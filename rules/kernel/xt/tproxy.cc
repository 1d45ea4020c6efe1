// SPDX-License-Identifier: GPL-2.0-or-later
// TPROXY, revision 1: struct xt_tproxy_target_info_v1 of <linux/netfilter/xt_TPROXY.h>. The port is
// in network byte order, an IPv4 address fills the first four bytes.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <linux/netfilter/xt_TPROXY.h>

#include "rules/error.h"
#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {

Payload encode(const Tproxy& target, Family family) {
  if (target.address.family != family) {
    throw Error("address " + to_string(target.address) + " is not of the rule's family");
  }
  xt_tproxy_target_info_v1 info{};
  info.mark_mask = target.mask;
  info.mark_value = target.mark;
  static_assert(sizeof info.laddr == sizeof target.address.bytes);
  std::memcpy(&info.laddr, target.address.bytes.data(), address_bits(family) / 8U);
  info.lport = htons(target.port);
  return make_payload("TPROXY", 1, info);
}

std::optional<Target> decode_tproxy(const Payload& payload, Family family) {
  const auto info = read_payload<xt_tproxy_target_info_v1>(payload, 1);
  if (!info) return std::nullopt;
  Tproxy target{.address = {.family = family, .bytes = {}},
                .port = ntohs(info->lport),
                .mark = info->mark_value,
                .mask = info->mark_mask};
  std::memcpy(target.address.bytes.data(), &info->laddr, address_bits(family) / 8U);
  return target;
}

}  // namespace sluice::kernel::xt

// SPDX-License-Identifier: GPL-2.0-or-later
// struct xt_udp, revision 0: <linux/netfilter/xt_tcpudp.h>.
#include <linux/netfilter/xt_tcpudp.h>

#include "rules/kernel/xt/codec.h"
#include "rules/kernel/xt/ports.h"

namespace sluice::kernel::xt {

Payload encode(const Udp& udp) {
  xt_udp info{};
  store_ports(udp.source, info.spts, info.invflags, XT_UDP_INV_SRCPT);
  store_ports(udp.destination, info.dpts, info.invflags, XT_UDP_INV_DSTPT);
  return make_payload("udp", 0, info);
}

std::optional<Match> decode_udp(const Payload& payload) {
  const std::optional<xt_udp> info = read_payload<xt_udp>(payload, 0);
  if (!info) return std::nullopt;
  return Udp{.source = load_ports(info->spts, info->invflags, XT_UDP_INV_SRCPT),
             .destination = load_ports(info->dpts, info->invflags, XT_UDP_INV_DSTPT)};
}

}  // namespace sluice::kernel::xt

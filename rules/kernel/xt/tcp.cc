// SPDX-License-Identifier: GPL-2.0-or-later
// struct xt_tcp, revision 0: <linux/netfilter/xt_tcpudp.h>.
#include <linux/netfilter/xt_tcpudp.h>

#include "rules/kernel/xt/codec.h"
#include "rules/kernel/xt/ports.h"

namespace sluice::kernel::xt {

Payload encode(const Tcp& tcp) {
  xt_tcp info{};
  store_ports(tcp.source, info.spts, info.invflags, XT_TCP_INV_SRCPT);
  store_ports(tcp.destination, info.dpts, info.invflags, XT_TCP_INV_DSTPT);
  if (tcp.flags) {
    info.flg_mask = tcp.flags->mask;
    info.flg_cmp = tcp.flags->compare;
    if (tcp.flags->negated) info.invflags |= XT_TCP_INV_FLAGS;
  }
  return make_payload("tcp", 0, info);
}

std::optional<Match> decode_tcp(const Payload& payload) {
  const std::optional<xt_tcp> info = read_payload<xt_tcp>(payload, 0);
  if (!info || info->option != 0 || (info->invflags & XT_TCP_INV_OPTION) != 0) {
    return std::nullopt;
  }
  Tcp tcp{.source = load_ports(info->spts, info->invflags, XT_TCP_INV_SRCPT),
          .destination = load_ports(info->dpts, info->invflags, XT_TCP_INV_DSTPT)};
  const bool negated = (info->invflags & XT_TCP_INV_FLAGS) != 0;
  if (info->flg_mask != 0 || info->flg_cmp != 0 || negated) {
    tcp.flags = TcpFlags{.mask = info->flg_mask, .compare = info->flg_cmp, .negated = negated};
  }
  return tcp;
}

}  // namespace sluice::kernel::xt

// SPDX-License-Identifier: GPL-2.0-or-later
// REDIRECT, revision 0: struct nf_nat_ipv4_multi_range_compat for IPv4, struct nf_nat_range for
// IPv6, both of <linux/netfilter/nf_nat.h>. Ports are in network byte order.
#include <arpa/inet.h>

#include <linux/netfilter/nf_nat.h>

#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {
namespace {

// The target in terms of one range of either structure; nothing if it is more than one port.
template <class Range>
std::optional<Target> single_port(unsigned flags, const Range& min, const Range& max) {
  if (flags != NF_NAT_RANGE_PROTO_SPECIFIED || min.all != max.all) return std::nullopt;
  return Redirect{ntohs(min.all)};
}

}  // namespace

Payload encode(const Redirect& redirect, Family family) {
  const std::uint16_t port = htons(redirect.port);
  if (family == Family::ipv4) {
    nf_nat_ipv4_multi_range_compat info{};
    info.rangesize = 1;
    info.range[0].flags = NF_NAT_RANGE_PROTO_SPECIFIED;
    info.range[0].min.all = port;
    info.range[0].max.all = port;
    return make_payload("REDIRECT", 0, info);
  }
  nf_nat_range info{};
  info.flags = NF_NAT_RANGE_PROTO_SPECIFIED;
  info.min_proto.all = port;
  info.max_proto.all = port;
  return make_payload("REDIRECT", 0, info);
}

std::optional<Target> decode_redirect(const Payload& payload, Family family) {
  if (family == Family::ipv4) {
    const auto info = read_payload<nf_nat_ipv4_multi_range_compat>(payload, 0);
    if (!info || info->rangesize != 1) return std::nullopt;
    return single_port(info->range[0].flags, info->range[0].min, info->range[0].max);
  }
  const auto info = read_payload<nf_nat_range>(payload, 0);
  if (!info) return std::nullopt;
  return single_port(info->flags, info->min_proto, info->max_proto);
}

}  // namespace sluice::kernel::xt

// SPDX-License-Identifier: GPL-2.0-or-later
// struct xt_multiport_v1, revision 1: <linux/netfilter/xt_multiport.h>. Ports are in host byte
// order; one with its flag set begins a range that the next one ends.
#include <linux/netfilter/xt_multiport.h>

#include "rules/error.h"
#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {

static_assert(Multiport::slots == XT_MULTI_PORTS);

Payload encode(const Multiport& match) {
  xt_multiport_v1 info{};
  info.flags = XT_MULTIPORT_DESTINATION;
  info.invert = match.negated ? 1 : 0;
  std::size_t used = 0;
  for (const PortRange ports : match.destinations) {
    const bool range = ports.first != ports.last;
    if (used + (range ? 2 : 1) > Multiport::slots || ports.first > ports.last) {
      throw Error("multiport cannot hold more than 15 ports or a reversed range");
    }
    info.pflags[used] = range ? 1 : 0;
    info.ports[used++] = ports.first;
    if (range) info.ports[used++] = ports.last;
  }
  if (used == 0) throw Error("multiport cannot be without a port");
  info.count = static_cast<std::uint8_t>(used);
  return make_payload("multiport", 1, info);
}

std::optional<Match> decode_multiport(const Payload& payload) {
  const auto info = read_payload<xt_multiport_v1>(payload, 1);
  if (!info || info->flags != XT_MULTIPORT_DESTINATION || info->count == 0 ||
      info->count > Multiport::slots) {
    return std::nullopt;
  }
  Multiport match{.negated = info->invert != 0};
  for (std::size_t i = 0; i < info->count; ++i) {
    PortRange ports{.first = info->ports[i], .last = info->ports[i]};
    if (info->pflags[i] != 0) {
      if (++i == info->count || info->ports[i] <= ports.first) return std::nullopt;
      ports.last = info->ports[i];
    }
    match.destinations.push_back(ports);
  }
  return match;
}

}  // namespace sluice::kernel::xt

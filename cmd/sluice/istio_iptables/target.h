// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of validation connect to. Reads routes through connect(2) on sockets that send
// nothing, in the calling thread's network namespace.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "cmd/sluice/istio_iptables/probe.h"
#include "rules/backend.h"
#include "rules/redirect.h"

namespace sluice::cmd::istio_iptables {

// Why there is nothing to connect to.
struct NoTarget {
  // Nothing of the kind is captured, as configured. Otherwise something is, and cannot be tested.
  bool unneeded = false;
  std::string reason = {};
};

using Target = std::variant<Endpoint, NoTarget>;

struct PodView {
  const RedirectConfig& config;
  const std::vector<Link>& links;
  std::uint16_t probe_port;  // taken where no list of ports is against it
};

// What the sidecar connects to in order to reach its own pod: 127.0.0.6 or ::6 as in Istio's
// validation, or the pod's own address where that is "localhost".
Target inbound_target(const PodView& pod, Family family);
// The pod's own address and a port that is captured inbound.
Target tproxy_target(const PodView& pod, Family family);
// An address and port beyond the pod that are captured outbound: one of the ranges for
// documentation (RFC 5737, RFC 3849) where all are.
Target outbound_target(const PodView& pod, Family family);
// A server whose DNS queries are captured.
Target dns_target(const PodView& pod, Family family);

// The pod's addresses of the family that are neither loopback nor link-local.
std::vector<IpAddress> own_addresses(const std::vector<Link>& links, Family family);

// Destinations that nobody has: RFC 5737, RFC 3849, RFC 9637.
std::vector<IpAddress> documentation_addresses(Family family);

bool captures_inbound(const RedirectConfig& config);

}  // namespace sluice::cmd::istio_iptables

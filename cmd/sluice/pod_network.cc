// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice/pod_network.h"

#include <string>

#include "cmd/stdio.h"

namespace sluice::cmd {

PodNetwork network_of(PodNamespace& pod, const std::vector<IpAddress>& known) {
  PodNetwork network{.addresses = known};
  for (const Link& link : pod.links()) {
    // ::6/128 on lo is what an earlier run put there, not an address of the pod.
    if (link.loopback) continue;
    network.addresses.insert(network.addresses.end(), link.addresses.begin(), link.addresses.end());
  }
  network.ipv6_on_loopback = pod.loopback_has_ipv6();
  return network;
}

void warn_of_uncaptured(const RedirectConfig& config, const PodNetwork& network) {
  for (const IpAddress& address : uncaptured_ipv6(config, network)) {
    write_log("sluice: warn: traffic of address " + to_string(address) +
              " is not redirected: the pod's first address is IPv4 and the mesh is not dual stack");
  }
}

void print_notices(const Notices& notices) {
  for (const std::string& notice : notices) write_log("sluice: warn: " + notice);
}

}  // namespace sluice::cmd

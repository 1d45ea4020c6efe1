// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/verbs.h"

#include <algorithm>
#include <utility>

#include "cni/code.h"
#include "cni/result.h"
#include "rules/error.h"

namespace sluice::cni {

std::unique_ptr<PodNamespace> open_namespace(const Call& call) {
  const std::string& path = call.environment.netns;
  OpenedNamespace opened = call.host.open_namespace(path);
  if (const NotNetns* reason = std::get_if<NotNetns>(&opened)) {
    throw Error(Code::invalid_environment, "CNI_NETNS " + quote(path) + " " + reason->reason);
  }
  auto pod = std::get<std::unique_ptr<PodNamespace>>(std::move(opened));
  if (!call.environment.netns_override && pod->is_own()) {
    throw Error(Code::invalid_environment,
                "CNI_NETNS " + quote(path) + " is the namespace of the plugin itself");
  }
  return pod;
}

Wanted wanted_in(PodNamespace& pod, const Call& call, const Json& previous,
                 const RedirectConfig& config, bool ipv6_on_loopback) {
  const std::string& ifname = call.environment.ifname;
  const std::optional<Link> link = pod.link(ifname);
  if (!link) {
    throw Error(Code::netns_failure, "interface " + quote(ifname) +
                                         " does not exist in the network namespace " +
                                         quote(call.environment.netns));
  }
  PodNetwork network{.addresses = addresses_of(previous, ifname),
                     .ipv6_on_loopback = ipv6_on_loopback};
  for (const IpAddress& address : link->addresses) {
    auto& known = network.addresses;
    if (std::find(known.begin(), known.end(), address) == known.end()) known.push_back(address);
  }
  return {.interception = interception(config, network),
          .uncaptured = uncaptured_ipv6(config, network)};
}

std::string subject(const Call& call) {
  const auto& args = call.environment.args;
  const auto name = args.find("K8S_POD_NAME");
  const auto name_space = args.find("K8S_POD_NAMESPACE");
  if (name == args.end() || name_space == args.end()) {
    return "container " + quote(call.environment.container_id);
  }
  return "pod " + quote(name_space->second + "/" + name->second);
}

void log(Outcome& outcome, LogLevel level, std::string text) {
  outcome.log.push_back({.level = level, .text = std::move(text)});
}

}  // namespace sluice::cni

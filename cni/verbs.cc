// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/verbs.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "cni/code.h"
#include "cni/result.h"
#include "rules/error.h"
#include "rules/ownership.h"

namespace sluice::cni {
namespace {

// Rules belong to the namespace: what the ADD of another network decided for IPv6 must not be
// undone by the ADD of a second one whose first address happens to be IPv4.
bool another_network_redirects_ipv6(PodNamespace& pod, const Call& call) {
  for (const Ruleset& ruleset : pod.backend(call.config.backend).read().rulesets) {
    if (ruleset.family != Family::ipv6) continue;
    const Ruleset ours = owned(ruleset);
    if (find_table(ours, Table::nat) == nullptr) return false;
    return is_connected_otherwise(pod.links(), call.environment.ifname);
  }
  return false;
}

// Devices that the kernel makes in every namespace as soon as a tunnel's module is loaded
// (net.core.fb_tunnels_only_for_init_net). While they are down they connect the pod to nothing.
bool is_fallback_tunnel(const Link& link) {
  constexpr std::array<std::string_view, 10> names{"tunl0",   "sit0",      "ip6tnl0", "gre0",
                                                   "gretap0", "erspan0",   "ip_vti0", "ip6_vti0",
                                                   "ip6gre0", "ip6gretap0"};
  return !link.up && std::find(names.begin(), names.end(), link.name) != names.end();
}

}  // namespace

bool is_connected_otherwise(const std::vector<Link>& links, const std::string& ifname) {
  return std::any_of(links.begin(), links.end(), [&](const Link& link) {
    return !link.loopback && link.name != ifname && !is_fallback_tunnel(link);
  });
}

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

PodNetwork network_in(PodNamespace& pod, const Call& call, const Json& previous,
                      bool ipv6_on_loopback) {
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
  return network;
}

Wanted wanted_in(PodNamespace& pod, const Call& call, const PodNetwork& network,
                 const RedirectConfig& config) {
  RedirectConfig effective = config;
  if (ipv6_action(config, network) != FamilyAction::redirect &&
      another_network_redirects_ipv6(pod, call)) {
    effective.dual_stack = true;
  }
  return {.interception = interception(effective, network),
          .uncaptured = uncaptured_ipv6(effective, network),
          .address_known = std::any_of(network.addresses.begin(), network.addresses.end(),
                                       [](const IpAddress& a) { return !is_link_local(a); })};
}

Sandbox sandbox_of(const Environment& environment) {
  const auto argument = [&](const char* key) {
    const auto found = environment.args.find(key);
    return found == environment.args.end() ? std::string() : found->second;
  };
  return {.name_space = argument("K8S_POD_NAMESPACE"),
          .name = argument("K8S_POD_NAME"),
          .uid = argument("K8S_POD_UID"),
          .container_id = environment.container_id,
          .netns = environment.netns};
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
  outcome.log.push_back({.level = level, .text = clipped(std::move(text))});
}

}  // namespace sluice::cni

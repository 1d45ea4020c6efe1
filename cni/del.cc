// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <string_view>

#include "cni/verbs.h"
#include "rules/error.h"

namespace sluice::cni {
namespace {

// Devices that the kernel makes in every namespace as soon as a tunnel's module is loaded
// (net.core.fb_tunnels_only_for_init_net). While they are down they connect the pod to nothing.
bool is_fallback_tunnel(const Link& link) {
  constexpr std::array<std::string_view, 10> names{"tunl0",   "sit0",      "ip6tnl0", "gre0",
                                                   "gretap0", "erspan0",   "ip_vti0", "ip6_vti0",
                                                   "ip6gre0", "ip6gretap0"};
  return !link.up && std::find(names.begin(), names.end(), link.name) != names.end();
}

// Rules belong to the namespace, not to an interface: while another interface connects the pod,
// taking them out would open it.
bool is_connected_otherwise(const std::vector<Link>& links, const std::string& ifname) {
  return std::any_of(links.begin(), links.end(), [&](const Link& link) {
    return !link.loopback && link.name != ifname && !is_fallback_tunnel(link);
  });
}

void remove_from(PodNamespace& pod, const Call& call, Outcome& outcome) {
  // The host's namespace has no rules of ours, whatever a stale path says.
  if (pod.is_own()) {
    log(outcome, LogLevel::warn, "CNI_NETNS is the namespace of the plugin itself: left alone");
    return;
  }
  if (is_connected_otherwise(pod.links(), call.environment.ifname)) {
    log(outcome, LogLevel::info,
        subject(call) + " has other interfaces than " + quote(call.environment.ifname) +
            ": its rules stay");
    return;
  }
  for (const std::string& notice : pod.backend().remove()) {
    log(outcome, LogLevel::warn, subject(call) + ": " + notice);
  }
}

}  // namespace

void del(const Call& call, Outcome& outcome) {
  const std::string& path = call.environment.netns;
  if (path.empty()) return;
  // The namespace goes with the pod and nothing of ours is elsewhere: whatever fails in it is not
  // worth keeping a pod from being deleted.
  try {
    const OpenedNamespace opened = call.host.open_namespace(path);
    if (const auto* pod = std::get_if<std::unique_ptr<PodNamespace>>(&opened)) {
      remove_from(**pod, call, outcome);
    }
  } catch (const Error& error) {
    log(outcome, LogLevel::warn, subject(call) + ": rules may be left behind: " + error.what());
  }
}

}  // namespace sluice::cni

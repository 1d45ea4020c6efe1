// SPDX-License-Identifier: GPL-2.0-or-later
// What the rules found in a pod are, compared with what it should have. Pure.
#pragma once

#include <string>
#include <vector>

#include "agent/repair/pod_state.h"
#include "rules/backend.h"
#include "rules/redirect.h"

namespace sluice::agent {

// What was read in a pod's namespace.
struct PodView {
  std::vector<IpAddress> addresses = {};  // status.podIPs, in their order
  std::vector<Link> links = {};
  std::string interface = {};  // that holds them
  bool ipv6_on_loopback = false;
  Interception live = {};
};

struct Judgement {
  PodCondition condition = PodCondition::intact;  // or missing, damaged, outdated
  std::string why = {};                           // one line under 1 KiB; may be empty if intact
  // What repair writes: all that is ours in the namespace afterwards.
  Interception wanted = {};
};

// What the plugin's ADD writes in such a pod, with these differences:
//  - A family is redirected only if rules of ours are there in that family already, or the pod's
//    first address is of it, or the mesh is dual stack: nobody knows whether the sidecar of a pod
//    that runs already listens on another. It is left as it is otherwise, and `why` says so.
//  - IPv6 that is redirected already stays so in a pod that has a usable IPv6 address: the order of
//    status.podIPs need not be that of the result that ADD decided from.
//
// A rule set is outdated, not damaged, if some configuration writes it as it is (recognition.h) --
// unless it is the wanted one but for a whole family that is missing, or captures nothing at all in
// a direction that is to be captured. Throws Error as diff() and recognise() do.
Judgement judge(const RedirectConfig& config, const PodView& view);

// Whether `live` holds rules of ours, of any configuration.
bool has_own_rules(const Interception& live);

// The first difference and how many more there are; one line of at most some 400 bytes.
std::string describe(const Interception& wanted, const Interception& live);

}  // namespace sluice::agent

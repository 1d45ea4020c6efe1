// SPDX-License-Identifier: GPL-2.0-or-later
// One function and one source file per verb. Each adds to `outcome` and throws Error; run() turns
// that into the error document.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cni/plugin.h"
#include "cni/pod.h"
#include "cni/request.h"
#include "rules/redirect.h"

namespace sluice::cni {

struct Call {
  const Host& host;
  const Environment& environment;
  const Request& request;
  PluginConfig config;
};

// Redirects the pod if it is to be, prints prevResult. Code::try_again_later if the agent must say
// what the pod is and does not.
void add(const Call& call, Outcome& outcome);
// Takes out what is ours when the pod's last interface goes. Never fails for what is missing.
void del(const Call& call, Outcome& outcome);
// Code::drift if the live rules are not as the configuration asks; changes nothing. While the agent
// does not say what the pod is, rules that are other than its annotations ask for pass if they are
// whole, or not there at all: the agent may have known more when they were written, and a runtime
// that runs CHECK by itself ends the pod for which it fails.
void check(const Call& call, Outcome& outcome);
// There is no state outside of the pods' namespaces, and those that still exist may be in use: the
// attachments are validated and nothing is collected.
void gc(const Call& call, Outcome& outcome);
void status(const Call& call, Outcome& outcome);

// ---- shared by the verbs

// The namespace in CNI_NETNS for a pod that is to be redirected. Throws Error with
// Code::invalid_environment if it is none, or is our own without CNI_NETNS_OVERRIDE.
std::unique_ptr<PodNamespace> open_namespace(const Call& call);

// Whether an interface other than `ifname` connects the pod to anything.
bool is_connected_otherwise(const std::vector<Link>& links, const std::string& ifname);

// What the pod has: addresses come from the previous result, then from the interface;
// `ipv6_on_loopback` as in PodNetwork. Throws Error with Code::netns_failure if the interface is
// not there.
PodNetwork network_in(PodNamespace& pod, const Call& call, const Json& previous,
                      bool ipv6_on_loopback);

// What the configuration asks for in `pod`.
struct Wanted {
  Interception interception;
  std::vector<IpAddress> uncaptured;  // see uncaptured_ipv6
  bool address_known = false;         // of either family, other than link-local
};

Wanted wanted_in(PodNamespace& pod, const Call& call, const PodNetwork& network,
                 const RedirectConfig& config);

// As the runtime names it.
Sandbox sandbox_of(const Environment& environment);

// `pod "demo/web-0"`, or `container "ID"` outside of Kubernetes.
std::string subject(const Call& call);

void log(Outcome& outcome, LogLevel level, std::string text);

}  // namespace sluice::cni

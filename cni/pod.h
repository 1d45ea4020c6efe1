// SPDX-License-Identifier: GPL-2.0-or-later
// Who the pod is, what it says of itself, and whether it is to be redirected.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cni/config.h"
#include "cni/json.h"
#include "cni/pod_facts.h"
#include "cni/settings.h"
#include "rules/redirect.h"

namespace sluice::cni {

// The capability by which containerd and CRI-O forward a pod's annotations.
inline constexpr const char* annotations_capability = "io.kubernetes.cri.pod-annotations";

struct Pod {
  // Empty if the runtime is not Kubernetes'. podman sends a name alone.
  std::string name_space;
  std::string name;
  // Nothing if they were not forwarded; empty if the pod has none.
  std::optional<Annotations> annotations;
  // What the runtime says of the pod's DNS servers: they count before the configured ones. Empty:
  // it says nothing.
  std::vector<IpAddress> resolvers = {};
  // What is wrong with what it says. Fatal to a pod whose queries to its own resolvers are
  // captured, to no other.
  std::string resolvers_problem = {};
  // Where the whole Pod is known.
  std::optional<PodFacts> facts = {};

  bool in_kubernetes() const { return !name.empty() && !name_space.empty(); }
};

// From CNI_ARGS and runtimeConfig. Throws Error with Code::invalid_config if runtimeConfig, the
// annotations or one that Sluice reads is of the wrong JSON type.
Pod read_pod(const std::map<std::string, std::string>& args, const Json& network);

// The annotations that Sluice reads.
const std::vector<const char*>& known_annotation_keys();

// Those of `object` that Sluice reads; null has none. Throws Error with Code::invalid_config if it
// is no object of strings, calling it `what`.
Annotations known_annotations(const Json& object, const std::string& what);

struct Decision {
  bool redirect = false;
  std::string reason;     // a sentence fragment: "annotation ... is absent"
  RedirectConfig config;  // valid only if `redirect`
};

// Sets what counts before everything else: the flags of a command line.
using Override = std::function<void(RedirectConfig&)>;

// The order of decisions is istio-cni's, as far as annotations can tell where they are all that is
// known. What a redirected pod gets, from the least to the most important: the configuration, its
// namespace's entry there, the runtime's resolvers, proxy.istio.io/config, the sidecar's container,
// the other annotations, `override`. Throws Error with
// Code::invalid_config for a pod that is to be redirected but whose annotations or whose network
// configuration cannot be followed or contradict each other, and for a pod in Kubernetes whose
// annotations are unknown; passes on what `override` throws.
Decision decide(const PluginConfig& config, const Pod& pod, const Override& override = {});

}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
// What a whole Pod says that its annotations do not: what istio-cni asks the API server for. The
// runtime does not send it; a manifest has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cni/json.h"
#include "cni/proxy_env.h"
#include "cni/reason.h"

namespace sluice::cni {

// The containers that the injector adds.
inline constexpr const char* sidecar_container = "istio-proxy";
inline constexpr const char* init_container = "istio-init";

struct PodFacts {
  // The container istio-proxy, ordinary or init container (a native sidecar).
  struct Sidecar {
    std::vector<std::string> args;
    ProxyEnv env;
    // securityContext's runAsUser and runAsGroup, of the container, else of the pod. Nothing where
    // neither says so, and where it is 0: Istio takes both for 1337, the configured default.
    std::optional<std::uint32_t> uid;
    std::optional<std::uint32_t> gid;
  };
  std::optional<Sidecar> sidecar;
  bool has_init = false;  // a container istio-init, which redirects the pod itself
  bool host_network = false;
  std::optional<std::string> inject_label;  // sidecar.istio.io/inject
};

// From a v1.Pod. Nothing if it has no containers: it is a template that says something of
// annotations alone. Throws Error naming what is of the wrong type.
std::optional<PodFacts> read_pod_facts(const Json& pod);

// Why there is no sidecar to redirect to; nothing if there is one. Istio-cni's order.
std::optional<Pass> find_pass(const PodFacts& facts);

}  // namespace sluice::cni

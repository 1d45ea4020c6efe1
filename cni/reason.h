// SPDX-License-Identifier: GPL-2.0-or-later
// Why a pod is redirected or not: a word of a fixed set for metrics, a sentence for people.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::cni {

enum class Reason : std::uint8_t {
  // redirected
  injected,
  redirect_all,
  // passed
  agent_pod,
  excluded_namespace,
  host_network,
  not_kubernetes,
  annotations_missing,
  inject_false,
  no_status,
  other_template,
  istio_init,
  no_sidecar,
  proxyless,
  other_proxy,
  mode_none,
};

// The same with hyphens: "excluded-namespace". Never another text for the same reason.
const char* to_string(Reason reason);

// Why a pod is not redirected.
struct Pass {
  Reason why = Reason::no_status;
  std::string sentence;  // a fragment: "it has no container istio-proxy"
};

}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
// What the pod of a call is, from the runtime, then from the node agent.
#pragma once

#include <optional>
#include <string>

#include "cni/pod.h"
#include "cni/verbs.h"

namespace sluice::cni {

struct Identified {
  // Nothing: the pod looks injected (or nothing tells whether it is), and what it is cannot be said
  // without the agent (AgentAbsent::wait).
  std::optional<Decision> decision;
  // Why the agent, which was asked, does not say what the pod is: one line that names pod and
  // socket. A decision beside it is made by annotations and configuration alone.
  std::string unknown = {};
};

// Asks nobody where there is no agent, outside of Kubernetes, for an excluded namespace and the
// agent's own pod, and where the annotations that the runtime forwarded say that the pod is not
// redirected. Annotations that the runtime forwarded count before the agent's: they are what the
// kubelet saw when it made the sandbox. Throws as decide(), and Error with Code::invalid_config
// naming the pod if the agent's Pod cannot be read and the annotations let it not pass.
Identified identify(const Call& call);

}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
// A Pod object of the Kubernetes API (v1.Pod), as `kubectl get pod -o yaml` prints it. Its
// containers say what annotations only hint at (cni/pod_facts.h).
#pragma once

#include <vector>

#include "cni/json.h"
#include "cni/pod.h"
#include "rules/ip.h"

namespace sluice::cni {

struct PodObject {
  Pod pod;
  // status.podIPs, else status.podIP; empty before the pod has a network.
  std::vector<IpAddress> addresses;
};

// Throws Error if it is no Pod, or if what is read of it is of the wrong type. A pod without a
// name or namespace (as in a template) is "pod" in "default".
PodObject read_pod_object(const Json& object);

}  // namespace sluice::cni

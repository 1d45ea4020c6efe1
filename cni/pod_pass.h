// SPDX-License-Identifier: GPL-2.0-or-later
// Why a pod is not redirected, before anybody asks how it would be.
#pragma once

#include <optional>

#include "cni/config.h"
#include "cni/pod.h"
#include "cni/reason.h"

namespace sluice::cni {

// What the names alone tell: the node agent's own pod, an excluded namespace.
std::optional<Pass> pass_by_name(const PluginConfig& config, const Pod& pod);

// That, and what is known of annotations and containers. Nothing if the pod is to be redirected as
// far as that tells. Throws Error with Code::invalid_config for a pod in Kubernetes whose
// annotations are unknown.
std::optional<Pass> find_pass(const PluginConfig& config, const Pod& pod);

}  // namespace sluice::cni

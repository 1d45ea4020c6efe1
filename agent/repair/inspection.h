// SPDX-License-Identifier: GPL-2.0-or-later
// One look at one pod.
#pragma once

#include <memory>
#include <string>

#include "agent/pod_cache.h"
#include "agent/repair/pod_netns.h"
#include "agent/repair/pod_state.h"
#include "cni/config.h"
#include "rules/backend.h"

namespace sluice::agent {

struct Finding {
  PodCondition condition = PodCondition::waiting;
  std::string why = {};  // one line
  // The pod's namespace, and what is to be written there: where there is something to mend.
  std::unique_ptr<PodNamespace> netns = {};
  Interception wanted = {};
  std::string backend = {};  // its name; empty where no rules were read
};

// Decides as the plugin does, finds the namespace (PodNamespaces::find), reads and judges. Changes
// nothing. Rules of ours in a pod that is to pass are mentioned in `why` and no fault. Throws
// nothing but what is no Error.
Finding inspect(const PodRecord& pod, const cni::PluginConfig& plugin, PodNamespaces& namespaces,
                const std::string& told, Clock::time_point since);

}  // namespace sluice::agent

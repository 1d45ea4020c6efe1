// SPDX-License-Identifier: GPL-2.0-or-later
// Our member of "plugins" in the network configuration, as the DaemonSet or a person asks for it.
#pragma once

#include <string>

#include "cni/json.h"

namespace sluice::agent {

// `configured` completed with what the agent knows: "type", "capabilities" (annotations, DNS),
// "agentSocket" and, if `daemonset` ("NAMESPACE/NAME") is not empty, "agentDaemonSet". Throws Error
// if `configured` is neither an object nor null, sets one of these itself (but the right "type"),
// or has a mistake that would fail every redirected pod: an agent that refuses to start leaves what
// is installed as it is.
cni::Json plugin_entry(const cni::Json& configured, const std::string& socket,
                       const std::string& daemonset);

// `configured` for a host where nobody runs the agent, or where it is not this process: completed
// with "type" and, where it has none, "capabilities". It may name an agent. Throws Error as
// plugin_entry does.
cni::Json entry_by_hand(const cni::Json& configured);

}  // namespace sluice::agent

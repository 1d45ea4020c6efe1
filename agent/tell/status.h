// SPDX-License-Identifier: GPL-2.0-or-later
// How the node is, for people: `sluice-agent status` and `sluice node` ask the agent for it over
// its socket and print it.
#pragma once

#include <string>
#include <vector>

#include "agent/health.h"
#include "agent/repair/pod_state.h"

namespace sluice::agent {

struct NodeStatus {
  std::string node = {};
  std::string version = {};  // of the agent
  bool ready = false;
  std::map<std::string, Health::Part> parts = {};
  std::string conf_file = {};
  std::string backend = {};
  std::string repair_mode = {};
  std::vector<PodState> pods = {};
};

// JSON, what travels over the socket: {"version":1,"node",...,"parts":{...},"pods":[...]}.
std::string print_status(const NodeStatus& status);

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// How the node is, for people: `sluice-agent status` and `sluice node` ask the agent for it over
// its socket and print it.
#pragma once

#include <map>
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

// One line of JSON, what travels over the socket. Keys: "version" (1), "node", "agentVersion",
// "ready", "parts" ({"watch":{"ready","why"},...}), "confFile", "backend", "repairMode", "pods"
// ([{"namespace","name","uid","condition","why","backend","repaired"},...]). Keys are added, never
// given another meaning.
std::string print_status(const NodeStatus& status);

}  // namespace sluice::agent

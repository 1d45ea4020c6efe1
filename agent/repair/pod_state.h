// SPDX-License-Identifier: GPL-2.0-or-later
// What the rules of a pod are found to be.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/pod_cache.h"

namespace sluice::agent {

enum class PodCondition : std::uint8_t {
  passed,      // it is not to be redirected
  waiting,     // it has no address yet
  intact,      // as wanted
  missing,     // there is nothing of ours
  damaged,     // partial or edited: not what any configuration writes
  outdated,    // whole, but of another configuration or of Istio's own
  unreadable,  // its namespace was not found or could not be read
  invalid,     // its annotations or the configuration cannot be followed
};

const char* to_string(PodCondition condition);

struct PodState {
  std::string name_space = {};
  std::string name = {};
  std::string uid = {};
  PodCondition condition = PodCondition::waiting;
  std::string why = {};      // one line
  std::string backend = {};  // its name where rules were read
  bool repaired = false;     // by this agent, since it started
};

}  // namespace sluice::agent

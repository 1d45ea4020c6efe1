// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/pod_state.h"

namespace sluice::agent {

const char* to_string(PodCondition condition) {
  switch (condition) {
    case PodCondition::passed:
      return "passed";
    case PodCondition::waiting:
      return "waiting";
    case PodCondition::intact:
      return "intact";
    case PodCondition::missing:
      return "missing";
    case PodCondition::damaged:
      return "damaged";
    case PodCondition::outdated:
      return "outdated";
    case PodCondition::unreadable:
      return "unreadable";
    case PodCondition::invalid:
      return "invalid";
  }
  return "";
}

}  // namespace sluice::agent

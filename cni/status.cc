// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/code.h"
#include "cni/verbs.h"
#include "rules/error.h"

namespace sluice::cni {

void status(const Call& call, Outcome& /*outcome*/) {
  if (!call.config.problems.empty()) {
    throw Error(Code::invalid_config, "network configuration: " + call.config.problems.front());
  }
  // An agent that is away is none: its own pod must be able to start.
  const std::string obstacle =
      call.host.obstacle ? call.host.obstacle(call.config.backend) : std::string();
  if (!obstacle.empty()) throw Error(Code::not_available, "no pod can be redirected: " + obstacle);
}

}  // namespace sluice::cni

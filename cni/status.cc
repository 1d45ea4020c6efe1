// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/code.h"
#include "cni/verbs.h"
#include "rules/error.h"

namespace sluice::cni {

void status(const Call& call, Outcome& /*outcome*/) {
  if (call.config.problems.empty()) return;
  throw Error(Code::invalid_config, "network configuration: " + call.config.problems.front());
}

}  // namespace sluice::cni

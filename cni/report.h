// SPDX-License-Identifier: GPL-2.0-or-later
// What the node agent is told of a call when all is done.
#pragma once

#include <chrono>
#include <string>

#include "cni/plugin.h"

namespace sluice::cni {

// The packet for Outcome::agent_socket; empty if nobody is to be told. `printed` is whether stdout
// was written: without its result the runtime takes the call for failed (Code::io_failure). `took`
// is the time since the program started. Log lines as on stderr, up to Outcome::log_level.
std::string report_packet(const Outcome& outcome, bool printed, std::chrono::microseconds took);

}  // namespace sluice::cni

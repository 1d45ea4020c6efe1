// SPDX-License-Identifier: GPL-2.0-or-later
// The subcommands. Each function adds one (or a group of the same shape) to the application; the
// callback that runs it sets `exit_status` and writes to stdout only when it has succeeded.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace sluice::cmd {

// sluice rules
void add_rules_command(CLI::App& app, int& exit_status);
// sluice apply | remove | read | check --netns PATH
void add_netns_commands(CLI::App& app, int& exit_status);
// sluice trace --netns PATH
void add_trace_command(CLI::App& app);

// sluice istio-iptables ARGUMENTS: reads its command line itself, as Istio's does. Returns the exit
// status: 0, or 126 if validation failed. Throws Error.
int run_istio_iptables(const std::vector<std::string>& arguments);

}  // namespace sluice::cmd

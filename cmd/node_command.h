// SPDX-License-Identifier: GPL-2.0-or-later
// What `sluice node` and `sluice-agent status` do.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace sluice::cmd {

// Adds the subcommand `name`, which asks the agent of this node for its status and prints it as a
// table, or with `-o json` as it came. `exit_status` becomes 0 if the node is ready and 2 if it is
// not. The callback throws Error naming the socket if no agent answers there.
void add_node_status_command(CLI::App& app, const std::string& name, int& exit_status);

}  // namespace sluice::cmd

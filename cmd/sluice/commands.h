// SPDX-License-Identifier: GPL-2.0-or-later
// The subcommands. Each function adds one (or a group of the same shape) to the application; the
// callback that runs it sets `exit_status` and writes to stdout only when it has succeeded.
#pragma once

namespace CLI {
class App;
}

namespace sluice::cmd {

// sluice rules
void add_rules_command(CLI::App& app, int& exit_status);
// sluice apply | remove | read | check --netns PATH
void add_netns_commands(CLI::App& app, int& exit_status);

}  // namespace sluice::cmd

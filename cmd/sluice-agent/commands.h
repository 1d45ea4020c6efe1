// SPDX-License-Identifier: GPL-2.0-or-later
// The subcommands of sluice-agent. Each function adds one or two to the application; the callback
// that runs it sets `exit_status`.
#pragma once

namespace CLI {
class App;
}

namespace sluice::cmd {

// sluice-agent run
void add_run_command(CLI::App& app, int& exit_status);
// sluice-agent install | uninstall: one pass, for scripts and for taking a node out.
void add_install_commands(CLI::App& app, int& exit_status);
// sluice-agent status
void add_status_command(CLI::App& app, int& exit_status);

}  // namespace sluice::cmd

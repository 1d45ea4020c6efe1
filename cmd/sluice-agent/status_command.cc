// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/node_command.h"
#include "cmd/sluice-agent/commands.h"

namespace sluice::cmd {

void add_status_command(CLI::App& app, int& exit_status) {
  add_node_status_command(app, "status", exit_status);
}

}  // namespace sluice::cmd

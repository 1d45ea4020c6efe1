// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice-agent/commands.h"

namespace sluice::cmd {

void add_install_commands(CLI::App& /*app*/, int& /*exit_status*/) {}

}  // namespace sluice::cmd

// SPDX-License-Identifier: GPL-2.0-or-later
// The flags that say what is installed where, each also as an environment variable: SLUICE_BIN_DIR
// for --bin-dir.
#pragma once

#include "agent/install/installer.h"

namespace CLI {
class App;
}

namespace sluice::cmd {

// --bin-dir and --conf-dir. `config` must outlive the parsing; what it holds is the default.
void add_directory_options(CLI::App& app, agent::InstallConfig& config);

// Those, and --plugin, --conf-file, --entry and --migrate. An entry that cannot be read or is not
// one is a parse error.
void add_install_options(CLI::App& app, agent::InstallConfig& config);

}  // namespace sluice::cmd

// SPDX-License-Identifier: GPL-2.0-or-later
// The plugin's program on the host.
#pragma once

#include <string>

#include "agent/install/installer.h"

namespace sluice::agent {

struct PluginBinary {
  InstallOutcome outcome = InstallOutcome::installed;  // or waiting or failed
  std::string why = {};
  bool wrote = false;
};

// Copies `source` to `bin_dir`/sluice-cni if that is not the same already: content, mode 0755, our
// owner. By rename(2): a pod's plugin that runs goes on with the old one. Throws Error.
PluginBinary place_plugin(const std::string& source, const std::string& bin_dir);

}  // namespace sluice::agent

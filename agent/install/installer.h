// SPDX-License-Identifier: GPL-2.0-or-later
// Puts the plugin and its entry in the network configuration in place, and keeps them there. Facts:
// libcni's conf dir loading, containerd's and CRI-O's watchers (docs/agent.md "Install").
#pragma once

#include <cstdint>
#include <string>

#include "cni/json.h"

namespace sluice::agent {

struct InstallConfig {
  std::string plugin_source = "/opt/sluice/sluice-cni";  // in the image
  std::string bin_dir = "/host/opt/cni/bin";             // the host's, as mounted
  std::string conf_dir = "/host/etc/cni/net.d";
  std::string conf_file = {};  // a name in conf_dir; empty: the one that the runtime would choose
  // Our member of "plugins"; "type" is plugin_type.
  cni::Json entry = {};
  // Replace an entry of istio-cni in the same write. Otherwise it is waited for to go: both would
  // write the rules.
  bool migrate = false;
};

inline constexpr const char* plugin_type = "sluice-cni";

enum class InstallOutcome : std::uint8_t {
  installed,  // in place, whether or not something was written
  waiting,    // no primary network configuration yet, or one that cannot be read
  blocked,    // somebody has to do something: istio-cni is there, the file is a symlink...
  failed,     // a system call failed
};

struct InstallStatus {
  InstallOutcome outcome = InstallOutcome::waiting;
  std::string why = {};   // one line that names file and reason
  std::string file = {};  // the configuration with our entry, a path; empty if there is none
  bool wrote_binary = false;
  bool binary_failed = false;  // `failed` is of the binary, not of the configuration
  bool wrote_conf = false;
};

// One pass: the binary if it differs, then the entry if it is not there as wanted. Never throws for
// what it finds on disk. A kill at any point leaves every file whole, old or new; the next pass
// goes on from there and removes the temporary file.
InstallStatus install(const InstallConfig& config);

// Takes the entry out of every configuration of conf_dir and keeps the binary: pods that are there
// are deleted with a configuration that still names it. outcome is `installed` where something is
// left, with the reason, and `waiting` where no entry is left.
InstallStatus uninstall(const InstallConfig& config);

}  // namespace sluice::agent

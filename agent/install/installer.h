// SPDX-License-Identifier: GPL-2.0-or-later
// Puts the plugin and its entry in the network configuration in place, and keeps them there. Facts:
// libcni's conf dir loading, containerd's and CRI-O's watchers (docs/agent.md "Install").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cni/json.h"

namespace sluice::agent {

struct InstallConfig {
  std::string plugin_source = "/opt/sluice/sluice-cni";  // in the image
  std::string bin_dir = "/host/opt/cni/bin";             // the host's, as mounted
  std::string conf_dir = "/host/etc/cni/net.d";
  std::string conf_file = {};  // a name in conf_dir; empty: the one that the runtime would choose
  // Our member of "plugins"; "type" is plugin_type.
  cni::Json entry = {};
  // Keys of an entry that is there already, which stay as they are where `entry` has none of the
  // name.
  std::vector<std::string> kept_keys = {};
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

// What the last look at the configuration has shown. A file that is half written shows nothing.
enum class EntryState : std::uint8_t { unknown, absent, present };

struct InstallStatus {
  InstallOutcome outcome = InstallOutcome::waiting;
  std::string why = {};   // one line that names file and reason
  std::string file = {};  // the configuration with our entry, a path; empty if there is none
  EntryState entry = EntryState::unknown;
  bool wrote_binary = false;
  bool binary_failed = false;  // `failed` is of the binary, not of the configuration
  bool wrote_conf = false;
};

// One pass: the binary if it differs, then the entry if it is not there as wanted. Never throws for
// what it finds on disk. A kill at any point leaves every file whole, old or new; the next pass
// goes on from there and removes the temporary file. No directory is made: one that is not there is
// the wrong one, or its owner has yet to come. Without the binary no entry is added: the runtime
// would start no pod.
InstallStatus install(const InstallConfig& config);

enum class UninstallOutcome : std::uint8_t {
  removed,  // no entry of ours is left, or there was none
  blocked,  // an entry is left, or may be, in a file that is not ours to judge
  failed,   // a system call failed
};

struct UninstallStatus {
  UninstallOutcome outcome = UninstallOutcome::removed;
  std::string why = {};                 // one line
  std::vector<std::string> files = {};  // paths of those that were changed
};

// Takes the entry out of every configuration of conf_dir, also of those that no runtime reads
// because another comes first, and keeps the binary: pods that are there are deleted with a
// configuration that still names it. A list that was made of a single plugin's file stays a list.
UninstallStatus uninstall(const InstallConfig& config);

// "installed", "waiting", "blocked" or "failed".
const char* to_string(InstallOutcome outcome);

}  // namespace sluice::agent

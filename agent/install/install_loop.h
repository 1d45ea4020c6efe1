// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the installation in place for as long as the agent runs.
#pragma once

#include <functional>
#include <string>

#include "agent/health.h"
#include "agent/install/installer.h"
#include "agent/log.h"

namespace sluice::agent {

struct InstallHooks {
  // After each pass that was not idle, for metrics. `seconds` is what it took.
  std::function<void(const InstallStatus& status, double seconds)> on_pass = {};
  // Each time that somebody took the "entry" out or changed the "binary" and it was put back.
  std::function<void(const char* what)> on_undone = {};
};

// Passes at the start, on inotify(7) events of conf_dir, bin_dir and plugin_source's folder
// (debounced by 500 ms, so that a half-written file is not judged), and every `recheck_seconds`. A
// directory that is not there is waited for. Somebody who keeps undoing it makes the passes rarer,
// up to one a minute, and is reported once, then again when it has settled (undo_pace.h). Says what
// it waits for when that changes, and every five minutes.
//
// Sets Health's parts "install" (entry present) and "plugin" (the installed binary answers VERSION,
// tried after each change of it). Files that are not ours to judge cannot make it not ready: an
// entry that was there counts as there until a pass has found it gone and not been able to put it
// back.
class InstallLoop {
 public:
  InstallLoop(InstallConfig config, Health& health, Log log, InstallHooks hooks,
              int recheck_seconds = 60);

  // Returns soon after `stop_fd` becomes readable (an eventfd; it is not read).
  void run(int stop_fd);

 private:
  InstallConfig config_;
  Health& health_;
  Log log_;
  InstallHooks hooks_;
  int recheck_seconds_;
};

// Runs the program with CNI_COMMAND=VERSION; empty if it answers with our versions within 2 s, else
// why not.
std::string try_plugin(const std::string& path);

}  // namespace sluice::agent

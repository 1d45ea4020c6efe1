// SPDX-License-Identifier: GPL-2.0-or-later
// The flags of `sluice-agent run`. Each is also an environment variable, as a DaemonSet sets them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/install/installer.h"
#include "agent/kube/api_server.h"
#include "agent/repair/reconciler.h"
#include "cmd/sluice-agent/log_sink.h"
#include "cni/agent_message.h"
#include "cni/config.h"

namespace CLI {
class App;
}

namespace sluice::cmd {

struct RunOptions {
  std::string node;
  agent::InstallConfig install;
  agent::ApiConfig api;
  std::string socket = cni::default_agent_socket;
  std::uint32_t lookup_deadline_ms = 2000;
  std::string daemonset;  // "NAMESPACE/NAME"
  std::string pod_ip = "127.0.0.1";
  std::uint16_t http_port = 15014;  // 0: no HTTP
  std::string repair_mode = "repair";
  agent::RepairConfig repair;
  bool no_events = false;
  std::vector<std::string> taints;
  std::string log_level = "info";
  std::string log_format = "text";

  // Set by finish().
  cni::PluginConfig plugin;
  cni::LogLevel level = cni::LogLevel::info;
  LogFormat format = LogFormat::text;
};

void add_run_options(CLI::App& app, RunOptions& options);

// Completes the plugin's entry and checks what CLI11 does not. Throws Error naming the flag.
void finish(RunOptions& options);

// "[fd00::1]:15014".
std::string http_address(const RunOptions& options);

}  // namespace sluice::cmd

// SPDX-License-Identifier: GPL-2.0-or-later
// The CNI plugin as a function: SPEC.md of CNI 1.1.0. Stateless; the pod's namespace is the state.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "cni/agent_message.h"
#include "cni/config.h"
#include "cni/environment.h"
#include "rules/backend.h"

namespace sluice::cni {

// What the plugin needs of the machine.
struct Host {
  GetEnv get_env;
  // All of stdin. Throws Error with Code::io_failure, or invalid_config if it is too large. Not
  // called for VERSION.
  std::function<std::string()> read_stdin;
  std::function<OpenedNamespace(const std::string& path)> open_namespace;
  // Sends `packet` to the agent at `socket` and returns the one that it answers with. Throws Error
  // if there is none within `timeout`. Not set: there is no agent.
  std::function<std::string(const std::string& socket, const std::string& packet,
                            std::chrono::milliseconds timeout)>
      ask_agent = {};
  // Why no pod could be redirected with these settings, empty if one could. Not set: one always
  // can.
  std::function<std::string(const BackendSettings& settings)> obstacle = {};
  // The call is to end with Code::try_again_later so long after the program's start. Called once
  // the configuration is read; until then the program's own default counts.
  std::function<void(std::chrono::milliseconds)> set_deadline = {};
};

struct LogLine {
  LogLevel level = LogLevel::info;
  std::string text;
};

struct Outcome {
  int exit_status = 0;
  std::string out;           // stdout: nothing, or exactly one JSON document
  std::string about;         // stderr, as it is, when no command is given
  std::vector<LogLine> log;  // stderr, up to log_level
  LogLevel log_level = LogLevel::info;
  // Whom to tell (cni/report.h), empty for nobody, and what is known by now.
  std::string agent_socket = {};
  ReportMessage report = {};
};

// Runs the command in CNI_COMMAND. Never throws.
Outcome run(const Host& host);

}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
// The CNI plugin as a function: SPEC.md of CNI 1.1.0. Stateless; the pod's namespace is the state.
#pragma once

#include <functional>
#include <string>
#include <vector>

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
};

// Runs the command in CNI_COMMAND. Never throws.
Outcome run(const Host& host);

}  // namespace sluice::cni

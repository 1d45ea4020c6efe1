// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/plugin.h"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "cni/result.h"
#include "cni/verbs.h"
#include "cni/version.h"
#include "rules/error.h"

namespace sluice::cni {
namespace {

constexpr std::size_t told_keys = 8;

std::string about() {
  std::string versions;
  for (const std::string& version : supported_versions()) {
    versions += (versions.empty() ? "" : ", ") + version;
  }
  return std::string("CNI sluice-cni plugin v") + plugin_version() +
         "\nCNI protocol versions supported: " + versions + "\n";
}

// What is wrong with the configuration is said even where it does not matter to the pod.
void log_config(const PluginConfig& config, Outcome& outcome) {
  outcome.log_level = config.log_level;
  for (const std::string& problem : config.problems) {
    log(outcome, LogLevel::warn, "network configuration: " + problem);
  }
  // Each line is a system call and a line of the node's journal, for every pod.
  const std::vector<std::string>& unknown = config.unknown_keys;
  for (std::size_t i = 0; i < std::min(unknown.size(), told_keys); ++i) {
    log(outcome, LogLevel::warn, "network configuration: key " + quote(unknown[i]) + " is unknown");
  }
  if (unknown.size() > told_keys) {
    log(outcome, LogLevel::warn,
        "network configuration: " + std::to_string(unknown.size() - told_keys) +
            " more keys are unknown");
  }
}

void dispatch(const Call& call, Outcome& outcome) {
  switch (call.environment.command) {
    case Command::add:
      return add(call, outcome);
    case Command::del:
      return del(call, outcome);
    case Command::check:
      return check(call, outcome);
    case Command::gc:
      return gc(call, outcome);
    case Command::status:
      return status(call, outcome);
    case Command::version:
      return;
  }
}

void run_command(const Host& host, Outcome& outcome, std::string& version) {
  const std::optional<Environment> environment = read_environment(host.get_env);
  if (!environment) {
    outcome.about = about();
    return;
  }
  if (environment->command == Command::version) {
    outcome.out = version_document();
    return;
  }
  const Request request = read_request(environment->command, host.read_stdin());
  version = request.version;
  const Call call{.host = host,
                  .environment = *environment,
                  .request = request,
                  .config = read_plugin_config(request.config)};
  if (host.set_deadline) host.set_deadline(call.config.deadline);
  outcome.agent_socket = call.config.agent_socket;
  outcome.report.command = to_string(environment->command);
  outcome.report.sandbox = sandbox_of(*environment);
  log_config(call.config, outcome);
  dispatch(call, outcome);
  if (outcome.report.outcome.empty()) outcome.report.outcome = "done";
}

void fail(Outcome& outcome, const std::string& version, Code code, const std::string& message,
          const std::string& details) {
  log(outcome, LogLevel::error, message);
  outcome.exit_status = 1;
  outcome.report.outcome = "failed";
  outcome.report.code = static_cast<int>(code);
  outcome.out = error_document(version, code, message, details);
}

}  // namespace

Outcome run(const Host& host) {
  Outcome outcome;
  std::string version = current_version();
  try {
    run_command(host, outcome, version);
  } catch (const Error& error) {
    fail(outcome, version, code_of(error), error.what(), error.details());
  } catch (const std::exception& error) {
    fail(outcome, version, Code::internal, std::string("internal error: ") + error.what(), "");
  }
  return outcome;
}

}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>

#include "agent/health.h"
#include "agent/install/entry.h"
#include "agent/install/install_loop.h"
#include "agent/install/installer.h"
#include "cmd/sluice-agent/commands.h"
#include "cmd/sluice-agent/install_options.h"
#include "cmd/stdio.h"
#include "rules/error.h"
#include "rules/kernel/fd.h"

namespace sluice::cmd {
namespace {

constexpr int exit_waiting = 3;
constexpr int exit_blocked = 4;

struct Options {
  agent::InstallConfig config;
  bool watch = false;
};

void print(const std::string& line) {
  if (!write_all(STDOUT_FILENO, printable(line) + "\n")) throw Error(errno, "write to stdout");
}

int status_of(agent::InstallOutcome outcome) {
  switch (outcome) {
    case agent::InstallOutcome::installed:
      return EXIT_SUCCESS;
    case agent::InstallOutcome::waiting:
      return exit_waiting;
    case agent::InstallOutcome::blocked:
      return exit_blocked;
    case agent::InstallOutcome::failed:
      break;
  }
  return EXIT_FAILURE;
}

int install_once(const agent::InstallConfig& config) {
  const agent::InstallStatus status = agent::install(config);
  std::string line = std::string(to_string(status.outcome)) + ": " + status.why;
  if (status.wrote_binary) line += "; wrote the plugin";
  if (status.wrote_conf) line += "; wrote the configuration";
  print(line);
  return status_of(status.outcome);
}

// Readable when the process is asked to end.
kernel::Fd termination() {
  sigset_t signals{};
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (const int errnum = pthread_sigmask(SIG_BLOCK, &signals, nullptr); errnum != 0) {
    throw Error(errnum, "block signals");
  }
  kernel::Fd fd(signalfd(-1, &signals, SFD_CLOEXEC));
  if (!fd) throw Error(errno, "make a signalfd");
  return fd;
}

int install_and_watch(const agent::InstallConfig& config) {
  const kernel::Fd stop = termination();
  agent::Health health;
  const agent::Log log = [](cni::LogLevel level, const char* component, const std::string& text) {
    write_log(std::string("sluice-agent: ") + to_string(level) + ": " + component + ": " +
              printable(text));
  };
  agent::InstallLoop(config, health, log, {}).run(stop.get());
  print("stopped: plugin and entry stay in place");
  return EXIT_SUCCESS;
}

int uninstall_once(const agent::InstallConfig& config) {
  const agent::UninstallStatus status = agent::uninstall(config);
  switch (status.outcome) {
    case agent::UninstallOutcome::removed:
      print("removed: " + status.why + "; wrote " + std::to_string(status.files.size()) +
            " configurations; the plugin stays, for the pods that are there");
      return EXIT_SUCCESS;
    case agent::UninstallOutcome::blocked:
      print("blocked: " + status.why);
      return exit_blocked;
    case agent::UninstallOutcome::failed:
      break;
  }
  print("failed: " + status.why);
  return EXIT_FAILURE;
}

}  // namespace

void add_install_commands(CLI::App& app, int& exit_status) {
  auto options = std::make_shared<Options>();
  CLI::App* install = app.add_subcommand(
      "install",
      "put the plugin and its entry in place once; exits with 0 if they are, 3 if the "
      "network configuration is yet to come, 4 if somebody has to do something");
  add_install_options(*install, options->config);
  install->add_flag("--watch", options->watch, "keep them in place until SIGTERM");
  install->callback([options, &exit_status] {
    options->config.entry = agent::entry_by_hand(options->config.entry);
    // On a node whose agent has installed before, and will again.
    options->config.kept_keys = {"agentSocket", "agentDaemonSet"};
    exit_status =
        options->watch ? install_and_watch(options->config) : install_once(options->config);
  });

  CLI::App* remove = app.add_subcommand(
      "uninstall",
      "take the entry out of every network configuration and leave the plugin; exits "
      "with 0 if none is left, 4 if somebody has to do something");
  add_directory_options(*remove, options->config);
  remove->callback([options, &exit_status] { exit_status = uninstall_once(options->config); });
}

}  // namespace sluice::cmd

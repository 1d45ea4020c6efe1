// SPDX-License-Identifier: GPL-2.0-or-later
#include <malloc.h>
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <memory>
#include <string>

#include "cmd/sluice-agent/commands.h"
#include "cmd/sluice-agent/log_sink.h"
#include "cmd/sluice-agent/node_agent.h"
#include "cmd/sluice-agent/run_options.h"
#include "cni/version.h"
#include "rules/error.h"
#include "rules/kernel/fd.h"
#include "rules/kernel/nft/dump.h"
#include "rules/kernel/xt/vet.h"

namespace sluice::cmd {
namespace {

// Memory that a list of pods took goes back to the kernel: few arenas, and big blocks by mmap(2),
// whose threshold glibc would otherwise raise.
void keep_memory_small() {
  constexpr int mmap_threshold = 128 * 1024;
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, mmap_threshold);
  mallopt(M_TRIM_THRESHOLD, mmap_threshold);
}

// Blocked in every thread that comes after, so that the main loop alone takes them.
kernel::Fd take_signals() {
  sigset_t signals{};
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) throw Error(errno, "block signals");
  kernel::Fd fd(signalfd(-1, &signals, SFD_CLOEXEC));
  if (!fd) throw Error(errno, "make a signalfd");
  return fd;
}

void run(RunOptions& options) {
  finish(options);
  keep_memory_small();
  // Eight tables of a hostile pod at once fit well into the DaemonSet's 128 MiB.
  constexpr unsigned entries = 32768;
  kernel::xt::limit_entries(entries);
  kernel::nft::limit_rules(entries);
  const kernel::Fd signals = take_signals();
  LogSink sink(options.level, options.format);
  const agent::Log log = sink.log();
  log(cni::LogLevel::info, "agent",
      std::string("sluice-agent ") + cni::plugin_version() + " on node " + quote(options.node));
  NodeAgent(options, log).run(signals.get());
}

}  // namespace

void add_run_command(CLI::App& app, int& /*exit_status*/) {
  const auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "be the agent of a node, until SIGTERM");
  add_run_options(*command, *options);
  command->callback([options] { run(*options); });
}

}  // namespace sluice::cmd

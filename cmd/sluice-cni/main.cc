// SPDX-License-Identifier: GPL-2.0-or-later
// sluice-cni: the CNI plugin. Environment and stdin in, one JSON document out.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>

#include "cmd/agent_socket.h"
#include "cmd/sluice-cni/early_namespace.h"
#include "cmd/sluice-cni/signals.h"
#include "cmd/stdio.h"
#include "cni/code.h"
#include "cni/plugin.h"
#include "cni/report.h"
#include "rules/kernel/readiness.h"

namespace {

using namespace sluice;  // NOLINT(google-build-using-namespace): a main file, nothing includes it

using Clock = std::chrono::steady_clock;

// Annotations are at most 256 KiB, six times that when escaped; everything else is small.
constexpr std::size_t stdin_limit = std::size_t{64} * 1024 * 1024;

std::string read_stdin() {
  try {
    return cmd::read_all(STDIN_FILENO, stdin_limit, "the configuration on stdin");
  } catch (const Error& error) {
    if (error.code() == cni::Code::try_again_later) throw;
    const bool too_large = error.code() == std::errc::file_too_large;
    throw Error(too_large ? cni::Code::invalid_config : cni::Code::io_failure, error.what());
  }
}

void print_log(const cni::Outcome& outcome) {
  for (const cni::LogLine& line : outcome.log) {
    if (line.level > outcome.log_level) continue;
    cmd::write_log(std::string("sluice-cni: ") + cni::to_string(line.level) + ": " + line.text);
  }
}

// When all is done, so that no pod waits for it.
void tell_agent(const cni::Outcome& outcome, bool printed, Clock::time_point start) {
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
  const std::string packet = cni::report_packet(outcome, printed, took);
  if (!packet.empty()) cmd::tell_agent(outcome.agent_socket, packet);
}

}  // namespace

int main() {
  const Clock::time_point start = Clock::now();
  cmd::catch_signals(cni::default_deadline);
  const bool has_stdout = cmd::open_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);  // a reader that is gone is an error of write(2), not our end
  const cni::GetEnv get_env = [](const char* name) -> const char* { return std::getenv(name); };
  cmd::EarlyNamespace early(get_env);
  const cni::Outcome outcome = cni::run({
      .get_env = get_env,
      .read_stdin = read_stdin,
      .open_namespace = [&](const std::string& path) { return early.open(path); },
      .ask_agent =
          [](const std::string& socket, const std::string& packet,
             std::chrono::milliseconds timeout) {
            return cmd::ask_agent(socket, packet, Clock::now() + timeout);
          },
      .obstacle = kernel::obstacle,
      .set_deadline = cmd::set_deadline,
  });
  cmd::end_interruption();
  cmd::write_all(STDERR_FILENO, outcome.about);
  print_log(outcome);
  const bool printed =
      outcome.out.empty() || (has_stdout && cmd::write_all(STDOUT_FILENO, outcome.out));
  tell_agent(outcome, printed, start);
  return printed ? outcome.exit_status : EXIT_FAILURE;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// sluice-cni: the CNI plugin. Environment and stdin in, one JSON document out.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "cmd/stdio.h"
#include "cni/code.h"
#include "cni/plugin.h"
#include "rules/kernel/xtables.h"

namespace {

using namespace sluice;  // NOLINT(google-build-using-namespace): a main file, nothing includes it

// Annotations are at most 256 KiB, six times that when escaped; everything else is small.
constexpr std::size_t stdin_limit = std::size_t{64} * 1024 * 1024;

std::string read_stdin() {
  try {
    return cmd::read_all(STDIN_FILENO, stdin_limit, "the configuration on stdin");
  } catch (const Error& error) {
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

}  // namespace

int main() {
  const bool has_stdout = cmd::open_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);  // a reader that is gone is an error of write(2), not our end
  const cni::Outcome outcome = cni::run({
      .get_env = [](const char* name) -> const char* { return std::getenv(name); },
      .read_stdin = read_stdin,
      .open_namespace = kernel::open_pod_namespace,
  });
  cmd::write_all(STDERR_FILENO, outcome.about);
  print_log(outcome);
  const bool printed = has_stdout && cmd::write_all(STDOUT_FILENO, outcome.out);
  return outcome.out.empty() || printed ? outcome.exit_status : EXIT_FAILURE;
}

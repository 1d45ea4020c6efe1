// SPDX-License-Identifier: GPL-2.0-or-later
// sluice: the command line. Prints, applies, removes, reads and checks a pod's rules.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>

#include "cmd/sluice/commands.h"
#include "cmd/stdio.h"
#include "cni/version.h"

namespace {

// One specific line: no help, nothing on stdout.
int fail(const std::string& message) {
  const std::string line = message.substr(0, message.find('\n'));
  sluice::cmd::write_all(STDERR_FILENO, "sluice: " + line + "\n");
  return EXIT_FAILURE;
}

int run(int argc, char** argv) {
  int exit_status = EXIT_SUCCESS;
  CLI::App app("Redirects a pod's traffic to its service-mesh sidecar.", "sluice");
  app.set_version_flag("--version", std::string("sluice ") + sluice::cni::plugin_version());
  // Not required by CLI11: it would complain of that before it names a misspelled one.
  app.require_subcommand(0, 1);
  sluice::cmd::add_rules_command(app, exit_status);
  sluice::cmd::add_netns_commands(app, exit_status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);  // --help and --version
  } catch (const CLI::ParseError& error) {
    return fail(error.what());
  }
  if (app.get_subcommands().empty()) {
    return fail("a subcommand is required: rules, apply, remove, read or check");
  }
  return exit_status;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}

// SPDX-License-Identifier: GPL-2.0-or-later
// sluice-agent: keeps the plugin installed on its node, answers it, repairs pods, tells how it is.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>

#include "cmd/sluice-agent/commands.h"
#include "cmd/stdio.h"
#include "cni/version.h"
#include "rules/error.h"

namespace {

int fail(const std::string& message) {
  sluice::cmd::write_all(STDERR_FILENO, "sluice-agent: " + sluice::printable(message) + "\n");
  return EXIT_FAILURE;
}

int run(int argc, char** argv) {
  int exit_status = EXIT_SUCCESS;
  CLI::App app("Sluice's node agent.", "sluice-agent");
  app.set_version_flag("--version", std::string("sluice-agent ") + sluice::cni::plugin_version());
  app.require_subcommand(1);
  sluice::cmd::add_install_commands(app, exit_status);
  sluice::cmd::add_status_command(app, exit_status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    return fail(error.what());
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

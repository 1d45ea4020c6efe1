// SPDX-License-Identifier: GPL-2.0-or-later
// sluice: the command line. Prints, applies, removes, reads, checks and traces a pod's rules.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cmd/node_command.h"
#include "cmd/sluice/commands.h"
#include "cmd/stdio.h"
#include "cni/version.h"
#include "rules/error.h"

namespace {

// One specific line: no help, nothing on stdout.
int fail(const std::string& message) {
  constexpr std::size_t line_limit = 1000;
  std::string line = sluice::printable(message.substr(0, message.find('\n')));
  if (line.size() > line_limit) line = line.substr(0, line_limit) + "...";
  sluice::cmd::write_all(STDERR_FILENO, "sluice: " + line + "\n");
  return EXIT_FAILURE;
}

// The arguments of istio-iptables if that is what is called: `sluice istio-iptables ...`, under
// whatever name the program has (images call `pilot-agent istio-iptables ...`), or a program that
// is itself named istio-iptables, as in older images.
std::optional<std::vector<std::string>> istio_iptables_arguments(int argc, char** argv) {
  constexpr std::string_view name = "istio-iptables";
  const std::string_view path = argc == 0 ? "" : argv[0];
  const bool named = path.substr(path.rfind('/') + 1) == name;
  const bool asked = argc > 1 && argv[1] == name;
  if (!named && !asked) return std::nullopt;
  return std::vector<std::string>(argv + (asked ? 2 : 1), argv + argc);
}

// CLI11 takes the argument behind `--name=` for the value; nothing behind it is a value here too:
// an empty list. It wants the arguments last first.
std::vector<std::string> split_empty_values(int argc, char** argv) {
  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) {
    std::string argument = argv[i];
    if (argument.size() > 3 && argument.substr(0, 2) == "--" &&
        argument.find('=') == argument.size() - 1) {
      argument.pop_back();
      arguments.emplace_back();
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

int run(int argc, char** argv) {
  if (const auto arguments = istio_iptables_arguments(argc, argv)) {
    return sluice::cmd::run_istio_iptables(*arguments);
  }
  int exit_status = EXIT_SUCCESS;
  CLI::App app("Redirects a pod's traffic to its service-mesh sidecar.", "sluice");
  app.set_version_flag("--version", std::string("sluice ") + sluice::cni::plugin_version());
  app.footer("  istio-iptables              in place of Istio's program: sluice istio-iptables -h");
  // Not required by CLI11: it would complain of that before it names a misspelled one.
  app.require_subcommand(0, 1);
  sluice::cmd::add_rules_command(app, exit_status);
  sluice::cmd::add_netns_commands(app, exit_status);
  sluice::cmd::add_trace_command(app);
  sluice::cmd::add_node_status_command(app, "node", exit_status);
  try {
    app.parse(split_empty_values(argc, argv));
  } catch (const CLI::Success& asked) {
    return app.exit(asked);  // --help and --version
  } catch (const CLI::ParseError& error) {
    return fail(error.what());
  }
  if (app.get_subcommands().empty()) {
    return fail(
        "a subcommand is required: rules, apply, remove, read, check, trace, node or "
        "istio-iptables");
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

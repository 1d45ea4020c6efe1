// SPDX-License-Identifier: GPL-2.0-or-later
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cmd/sluice/commands.h"
#include "cmd/sluice/input.h"
#include "cmd/sluice/output.h"
#include "cmd/sluice/pod_network.h"
#include "cmd/stdio.h"
#include "rules/diff.h"
#include "rules/error.h"
#include "rules/kernel/pod_namespace.h"
#include "rules/parse_backend.h"
#include "rules/redirect.h"

namespace sluice::cmd {
namespace {

constexpr int exit_different = 2;

struct NetnsOptions {
  std::string netns;
  bool own_netns = false;
  bool dry_run = false;
  std::string backend = "auto";
  std::string nft_table = "sluice";
  InputOptions input;
  OutputOptions output;
};

std::unique_ptr<PodNamespace> open_netns(const NetnsOptions& options) {
  OpenedNamespace opened = kernel::open_pod_namespace(options.netns);
  if (const NotNetns* reason = std::get_if<NotNetns>(&opened)) {
    throw Error("--netns " + quote(options.netns) + " " + reason->reason);
  }
  return std::get<std::unique_ptr<PodNamespace>>(std::move(opened));
}

Backend& backend_of(PodNamespace& pod, const NetnsOptions& options) {
  BackendSettings settings;
  try {
    settings.choice = parse_backend_choice(options.backend);
  } catch (const Error& error) {
    throw Error(std::string("--backend: ") + error.what());
  }
  try {
    settings.nft_table = parse_nft_table(options.nft_table);
  } catch (const Error& error) {
    throw Error(std::string("--nft-table: ") + error.what());
  }
  return pod.backend(settings);
}

// The host's own rules are not ours to write: a mistyped path must not redirect a node.
void refuse_own(PodNamespace& pod, const NetnsOptions& options) {
  if (!options.own_netns && pod.is_own()) {
    throw Error("--netns " + quote(options.netns) +
                " is the namespace that sluice itself runs in: add --own-netns to write there");
  }
}

void print_lines(const std::string& text) {
  if (!write_all(STDOUT_FILENO, text)) throw Error(errno, "write to stdout");
}

// What the input asks for in this namespace: nothing for a pod that is not redirected.
Interception wanted_in(PodNamespace& pod, const Input& input) {
  if (!input.decision.redirect) return {};
  const PodNetwork network = network_of(pod, input.addresses);
  warn_of_uncaptured(input.decision.config, network);
  return interception(input.decision.config, network);
}

// "+" is what would be written, "-" what would be taken out.
std::string planned(const std::vector<Difference>& differences) {
  std::string text;
  for (const Difference& difference : differences) {
    const bool missing = difference.kind == DifferenceKind::missing_chain ||
                         difference.kind == DifferenceKind::missing_rule ||
                         difference.kind == DifferenceKind::missing_address ||
                         difference.kind == DifferenceKind::missing_route;
    text += std::string(missing ? "+ " : "- ") + to_string(difference) + "\n";
  }
  return text;
}

void run_apply(const NetnsOptions& options) {
  const Input input = read_input(options.input);
  if (!input.decision.redirect) {
    write_log("sluice: " + input.subject + " is not redirected: " + input.decision.reason);
    return;
  }
  const std::unique_ptr<PodNamespace> pod = open_netns(options);
  refuse_own(*pod, options);
  Backend& backend = backend_of(*pod, options);
  const Interception wanted = wanted_in(*pod, input);
  if (options.dry_run) return print_lines(planned(diff(wanted, backend.read())));
  print_notices(backend.apply(wanted));
}

void run_remove(const NetnsOptions& options) {
  const std::unique_ptr<PodNamespace> pod = open_netns(options);
  refuse_own(*pod, options);
  Backend& backend = backend_of(*pod, options);
  if (options.dry_run) return print_lines(planned(diff(Interception{}, backend.read())));
  print_notices(backend.remove());
}

void run_read(const NetnsOptions& options) {
  const std::unique_ptr<PodNamespace> pod = open_netns(options);
  Backend& backend = backend_of(*pod, options);
  const Interception live = backend.read();
  write_log(std::string("backend: ") + backend.name() + " (" + backend.reason() + ")");
  OutputOptions output = options.output;
  output.nft_table = options.nft_table;
  print(live.rulesets, output);
}

int run_check(const NetnsOptions& options) {
  const Input input = read_input(options.input);
  const std::unique_ptr<PodNamespace> pod = open_netns(options);
  Backend& backend = backend_of(*pod, options);
  const std::vector<Difference> differences = diff(wanted_in(*pod, input), backend.read());
  std::string text;
  for (const Difference& difference : differences) text += to_string(difference) + "\n";
  print_lines(text);
  return differences.empty() ? 0 : exit_different;
}

CLI::App* add_command(CLI::App& app, const char* name, const char* description,
                      NetnsOptions& options) {
  CLI::App* command = app.add_subcommand(name, description);
  command->add_option("--netns", options.netns, "path of the network namespace")->required();
  command->add_option("--backend", options.backend,
                      "auto, xtables or nftables: the kernel's interface to take");
  command->add_option("--nft-table", options.nft_table, "the table in nftables (sluice)");
  return command;
}

void add_write_options(CLI::App& command, NetnsOptions& options) {
  command.add_flag("--dry-run", options.dry_run, "print what would change, change nothing");
  command.add_flag("--own-netns", options.own_netns,
                   "allow writing to the namespace that sluice itself runs in");
}

}  // namespace

void add_netns_commands(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<std::vector<NetnsOptions>>(4);
  NetnsOptions& apply = (*options)[0];
  CLI::App* command = add_command(app, "apply", "write a pod's rules into a namespace", apply);
  add_write_options(*command, apply);
  add_input_options(*command, apply.input);
  command->callback([options] { run_apply((*options)[0]); });

  NetnsOptions& remove = (*options)[1];
  command = add_command(app, "remove", "take all of Sluice's rules out of a namespace", remove);
  add_write_options(*command, remove);
  command->callback([options] { run_remove((*options)[1]); });

  NetnsOptions& read = (*options)[2];
  command = add_command(app, "read", "print the live rules of a namespace", read);
  add_output_options(*command, read.output);
  command->callback([options] { run_read((*options)[2]); });

  NetnsOptions& check = (*options)[3];
  command = add_command(app, "check",
                        "compare live rules with what a pod should have: exit 0 same, 2 "
                        "different, 1 error",
                        check);
  add_input_options(*command, check.input);
  command->callback([options, &exit_status] { exit_status = run_check((*options)[3]); });
}

}  // namespace sluice::cmd

// SPDX-License-Identifier: GPL-2.0-or-later
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cmd/sluice/commands.h"
#include "cmd/sluice/input.h"
#include "cmd/sluice/output.h"
#include "cmd/stdio.h"
#include "rules/error.h"
#include "rules/nft/model.h"
#include "rules/redirect.h"

namespace sluice::cmd {
namespace {

struct RulesOptions {
  InputOptions input;
  OutputOptions output;
};

// What ADD would do with IPv6. As long as the pod's addresses are not known, `auto` may come to
// either: the rules are shown.
FamilyAction ipv6_action_of(const Input& input) {
  const RedirectConfig& config = input.decision.config;
  const bool undecided = !input.addresses_known && config.ipv6 == Ipv6Policy::automatic;
  return undecided ? FamilyAction::redirect
                   : ipv6_action(config, PodNetwork{.addresses = input.addresses});
}

void print_rules(const RulesOptions& options) {
  const Input input = read_input(options.input);
  if (!input.decision.redirect) {
    write_all(STDERR_FILENO,
              "sluice: " + input.subject + " is not redirected: " + input.decision.reason + "\n");
    return;
  }
  const RedirectConfig& config = input.decision.config;
  std::vector<Ruleset> rulesets{redirect_ruleset(config, Family::ipv4)};
  const FamilyAction ipv6 = ipv6_action_of(input);
  if (ipv6 != FamilyAction::none) {
    rulesets.push_back(redirect_ruleset(config, Family::ipv6, ipv6));
  }
  print(rulesets, options.output);
}

}  // namespace

void add_rules_command(CLI::App& app, int& /*exit_status*/) {
  CLI::App* command =
      app.add_subcommand("rules", "print the rules for a pod; touches nothing, needs no privilege");
  auto options = std::make_shared<RulesOptions>();
  add_input_options(*command, options->input);
  add_output_options(*command, options->output);
  command->add_option("--nft-table", options->output.nft_table, "format nft: the name of the table")
      ->capture_default_str()
      ->check([](const std::string& name) {
        return nft::is_table_name(name) ? std::string() : quote(name) + " is no name of a table";
      });
  command->callback([options] { print_rules(*options); });
}

}  // namespace sluice::cmd

// SPDX-License-Identifier: GPL-2.0-or-later
// How a subcommand prints rule sets.
#pragma once

#include <string>
#include <vector>

#include "rules/nft/model.h"
#include "rules/rule.h"

namespace CLI {
class App;
}

namespace sluice::cmd {

struct OutputOptions {
  std::string format = "save";  // save, restore, nft, json
  std::string family = "both";  // ipv4, ipv6, both
  std::string nft_table = std::string(nft::default_table_name);
};

void add_output_options(CLI::App& app, OutputOptions& options);

// To stdout. With one family the text has no separator. Throws Error if it cannot be written, or
// has no form in format nft.
void print(std::vector<Ruleset> rulesets, const OutputOptions& options);

}  // namespace sluice::cmd

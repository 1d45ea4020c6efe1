// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice/output.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>

#include "cmd/stdio.h"
#include "rules/error.h"
#include "rules/nft/text.h"
#include "rules/nft/translate.h"
#include "rules/text.h"

namespace sluice::cmd {
namespace {

std::string format(const std::vector<Ruleset>& rulesets, const OutputOptions& options) {
  if (options.format == "json") return to_json(rulesets);
  if (options.format == "nft") return nft::to_text(nft::to_nft(rulesets, options.nft_table));
  const auto form = options.format == "restore" ? to_restore : to_save;
  if (options.family == "both") return to_text(rulesets, form);
  return rulesets.empty() ? std::string() : form(rulesets.front());
}

}  // namespace

void add_output_options(CLI::App& app, OutputOptions& options) {
  app.add_option(
         "--format", options.format,
         "save: as iptables-save; restore: for iptables-restore --noflush; nft: for nft -f; "
         "json")
      ->check(CLI::IsMember({"save", "restore", "nft", "json"}))
      ->capture_default_str();
  app.add_option("--family", options.family, "which rules to print")
      ->check(CLI::IsMember({"ipv4", "ipv6", "both"}))
      ->capture_default_str();
}

void print(std::vector<Ruleset> rulesets, const OutputOptions& options) {
  if (options.family != "both") {
    const Family wanted = options.family == "ipv4" ? Family::ipv4 : Family::ipv6;
    rulesets.erase(std::remove_if(rulesets.begin(), rulesets.end(),
                                  [&](const Ruleset& r) { return r.family != wanted; }),
                   rulesets.end());
  }
  if (!write_all(STDOUT_FILENO, format(rulesets, options))) throw Error(errno, "write to stdout");
}

}  // namespace sluice::cmd

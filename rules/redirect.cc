// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/redirect.h"

#include <algorithm>
#include <utility>

#include "rules/policy/policy.h"

namespace sluice {

Cidr passthrough_source(Family family) {
  const IpAddress address = parse_address(family == Family::ipv4 ? "127.0.0.6" : "::6");
  return make_cidr(address, address_bits(family));
}

Ruleset redirect_ruleset(const RedirectConfig& config, Family family, FamilyAction action) {
  Ruleset ruleset{.family = family};
  if (config.mode == InterceptionMode::none || action == FamilyAction::none) return ruleset;
  const policy::Source source{.config = config, .layout = *config.layout, .family = family};
  if (action == FamilyAction::block) {
    ruleset.tables.push_back(policy::filter_table(source));
    return ruleset;
  }
  for (TableRules table : {policy::raw_table(source), policy::mangle_table(source)}) {
    const bool used = std::any_of(table.chains.begin(), table.chains.end(),
                                  [](const Chain& chain) { return !chain.rules.empty(); });
    if (used) ruleset.tables.push_back(std::move(table));
  }
  ruleset.tables.push_back(policy::nat_table(source));
  return ruleset;
}

}  // namespace sluice

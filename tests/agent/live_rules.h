// SPDX-License-Identifier: GPL-2.0-or-later
// The rules of a nat chain, to be edited as whoever has iptables in a pod would.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "rules/backend.h"
#include "rules/rule.h"

namespace sluice::agent {

inline std::vector<Rule>& nat_rules(Interception& live, Family family, const std::string& chain) {
  for (Ruleset& ruleset : live.rulesets) {
    if (ruleset.family != family) continue;
    for (TableRules& table : ruleset.tables) {
      if (table.table != Table::nat) continue;
      if (Chain* found = find_chain(table, chain)) return found->rules;
    }
  }
  throw std::logic_error("there is no chain " + chain);
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// Rules of others around ours.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "rules/rule.h"
#include "tests/random_config.h"

namespace sluice {

// As the owner of a chain without rules of ours in it would: other names in either direction, so
// that no two chains agree by chance.
inline std::vector<Rule> foreign_rules(const std::string& chain, RandomConfig& random) {
  const std::vector<Rule> choice{
      chain == "OUTPUT" ? Rule{.out = Interface{.name = "theirs-out"}}
                        : Rule{.in = Interface{.name = "theirs-in"}},
      {.protocol = Protocol::udp, .target = Accept{}},
      {.target = Jump{"THEIRS"}},
      {.matches = {Opaque{"-m comment --comment \"a b\""}}, .target = Return{}}};
  std::vector<Rule> rules;
  for (std::size_t left = random.below(4); left > 0; --left) {
    rules.push_back(choice[random.below(choice.size())]);
  }
  return rules;
}

// Where nothing is captured by its address, what stands right before our rules in nat's PREROUTING
// is ours (ownership.h): others' rules are then kept apart.
inline bool takes_neighbours(const TableRules& table, const Chain& chain) {
  const Chain* output = find_chain(table, "ISTIO_OUTPUT");
  if (table.table != Table::nat || chain.name != "PREROUTING" || output == nullptr) return false;
  return std::none_of(output->rules.begin(), output->rules.end(), [](const Rule& rule) {
    return rule.target == Target(Jump{"ISTIO_REDIRECT"}) && rule.matches.empty();
  });
}

// The rule set with foreign rules and a chain around ours.
inline Ruleset surrounded(Ruleset ruleset, RandomConfig& random, bool for_any_config = false) {
  for (TableRules& table : ruleset.tables) {
    for (Chain& chain : table.chains) {
      if (!chain.policy) continue;
      std::vector<Rule> before = foreign_rules(chain.name, random);
      std::vector<Rule> after = foreign_rules(chain.name, random);
      if (takes_neighbours(table, chain) || (for_any_config && chain.name == "PREROUTING")) {
        before.push_back({.protocol = Protocol::udp, .target = Accept{}});
        after.push_back(before.back());
      }
      chain.rules.insert(chain.rules.begin(), before.begin(), before.end());
      chain.rules.insert(chain.rules.end(), after.begin(), after.end());
    }
    table.chains.push_back({.name = "THEIRS", .rules = foreign_rules("THEIRS", random)});
  }
  return ruleset;
}

}  // namespace sluice

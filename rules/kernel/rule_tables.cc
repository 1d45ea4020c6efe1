// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/rule_tables.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

namespace sluice::kernel {
namespace {

// A pod can have made any number of chains.
void add_chains(TableRules& table, const TableRules& more) {
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < table.chains.size(); ++i) places.emplace(table.chains[i].name, i);
  for (const Chain& chain : more.chains) {
    const auto there = places.find(chain.name);
    if (there == places.end()) {
      table.chains.push_back(chain);
    } else {
      std::vector<Rule>& rules = table.chains[there->second].rules;
      rules.insert(rules.end(), chain.rules.begin(), chain.rules.end());
    }
  }
}

}  // namespace

std::vector<Ruleset> RuleTables::read_mangle() {
  std::vector<Ruleset> all = read();
  for (Ruleset& ruleset : all) {
    std::erase_if(ruleset.tables, [](const TableRules& t) { return t.table != Table::mangle; });
  }
  return all;
}

void add_rules(std::vector<Ruleset>& all, const Ruleset& more) {
  auto found = std::find_if(all.begin(), all.end(),
                            [&](const Ruleset& r) { return r.family == more.family; });
  if (found == all.end()) {
    all.push_back(more);
    return;
  }
  for (const TableRules& table : more.tables) {
    const auto same = std::find_if(found->tables.begin(), found->tables.end(),
                                   [&](const TableRules& t) { return t.table == table.table; });
    if (same == found->tables.end()) {
      found->tables.push_back(table);
    } else {
      add_chains(*same, table);
    }
  }
}

}  // namespace sluice::kernel

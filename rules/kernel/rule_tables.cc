// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/rule_tables.h"

#include <vector>

namespace sluice::kernel {
std::vector<Ruleset> RuleTables::read_mangle() {
  std::vector<Ruleset> all = read();
  for (Ruleset& ruleset : all) {
    std::erase_if(ruleset.tables, [](const TableRules& t) { return t.table != Table::mangle; });
  }
  return all;
}

std::vector<std::string> RuleTables::strays() {
  return {};
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

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/rule_tables.h"

#include <algorithm>
#include <iterator>
#include <vector>

namespace sluice::kernel {
std::vector<Ruleset> RuleTables::read_mangle() {
  std::vector<Ruleset> all = read();
  for (Ruleset& ruleset : all) {
    std::erase_if(ruleset.tables, [](const TableRules& t) { return t.table != Table::mangle; });
  }
  return all;
}

void append(Notices& all, Notices more) {
  std::move(more.begin(), more.end(), std::back_inserter(all));
}

}  // namespace sluice::kernel

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

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// Tables for tests, written down as rules.
#pragma once

#include <string>
#include <vector>

#include "rules/rule.h"
#include "rules/text.h"

namespace sluice {

// A table with its built-in chains, with `chains` besides, and with these rules (`-A CHAIN ...`).
inline TableRules table_with(const std::vector<std::string>& rules,
                             const std::vector<std::string>& chains = {},
                             Table table = Table::nat) {
  std::string text = std::string("*") + to_string(table) + "\n";
  for (const std::string& chain : builtin_chains(table)) text += ":" + chain + " ACCEPT [0:0]\n";
  for (const std::string& chain : chains) text += ":" + chain + " - [0:0]\n";
  for (const std::string& rule : rules) text += rule + "\n";
  return parse_save(text + "COMMIT\n").front().tables.front();
}

inline Ruleset ruleset_with(TableRules table, Family family = Family::ipv4) {
  return {.family = family, .tables = {std::move(table)}};
}

// The rules of one chain, spelled out.
inline std::vector<std::string> rules_in(const TableRules& table, const std::string& chain) {
  std::vector<std::string> texts;
  if (const Chain* found = find_chain(table, chain)) {
    for (const Rule& rule : found->rules) texts.push_back(to_string(chain, rule));
  }
  return texts;
}

}  // namespace sluice

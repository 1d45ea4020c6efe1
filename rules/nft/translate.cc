// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/nft/translate.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "rules/canonical.h"
#include "rules/error.h"
#include "rules/nft/fold.h"
#include "rules/nft/sets.h"

namespace sluice::nft {
namespace {

using Names = std::vector<std::string>;

std::vector<Ruleset> both_canonical(const std::vector<Ruleset>& rulesets) {
  std::vector<Ruleset> both{{.family = Family::ipv4}, {.family = Family::ipv6}};
  for (const Ruleset& ruleset : rulesets) {
    both[ruleset.family == Family::ipv4 ? 0 : 1] = canonical(ruleset);
  }
  return both;
}

// The chains of one table by name.
class ChainIndex {
 public:
  ChainIndex(const Ruleset& ruleset, sluice::Table table) {
    const TableRules* rules = find_table(ruleset, table);
    if (rules == nullptr) return;
    for (const sluice::Chain& chain : rules->chains) chains_.emplace(chain.name, &chain);
  }

  const sluice::Chain* find(const std::string& name) const {
    const auto found = chains_.find(name);
    return found == chains_.end() ? nullptr : found->second;
  }

 private:
  std::unordered_map<std::string_view, const sluice::Chain*> chains_;
};

// Of both families, in the order of canonical().
Names chains_of(const std::vector<Ruleset>& both, sluice::Table table) {
  TableRules all{.table = table};
  for (const Ruleset& ruleset : both) {
    const TableRules* rules = find_table(ruleset, table);
    if (rules == nullptr) continue;
    for (const sluice::Chain& chain : rules->chains) {
      // A rule, lest canonical() leave the chain out.
      all.chains.push_back({.name = chain.name, .rules = {{}}});
    }
  }
  Names names;
  for (const TableRules& rules : canonical(Ruleset{.tables = {std::move(all)}}).tables) {
    for (const sluice::Chain& chain : rules.chains) names.push_back(chain.name);
  }
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::vector<Folded> folded(const sluice::Chain* chain) {
  return chain == nullptr ? std::vector<Folded>() : fold(chain->rules);
}

[[noreturn]] void refuse(Family family, sluice::Table table, const std::string& name) {
  throw Error(std::string(to_string(family)) + " " + to_string(table) +
              ": nf_tables' form has no place for chain " + quote(name) + " as it is");
}

// What is written must be what is read back.
void check(const Table& table, const std::vector<Ruleset>& both) {
  const std::vector<Ruleset> back = from_nft(table);
  if (back == both) return;
  for (const std::size_t i : {0U, 1U}) {
    for (const sluice::Table part : all_tables) {
      const ChainIndex wanted(both[i], part);
      const ChainIndex found(back[i], part);
      for (const std::string& name : chains_of({both[i], back[i]}, part)) {
        const sluice::Chain* a = wanted.find(name);
        const sluice::Chain* b = found.find(name);
        if (a == nullptr || b == nullptr || *a != *b) refuse(both[i].family, part, name);
      }
    }
  }
}

void append_chains(const std::vector<Ruleset>& both, sluice::Table part, Table& table, Sets& sets) {
  const ChainIndex ipv4(both[0], part);
  const ChainIndex ipv6(both[1], part);
  for (const std::string& name : chains_of(both, part)) {
    const ChainNames names{.table = part, .chain = name};
    if (parse_chain_name(chain_name(part, name)) != names) refuse(Family::ipv4, part, name);
    Chain& chain = table.chains.emplace_back(Chain{.table = part, .name = name});
    for (Folded& rule : joined(folded(ipv4.find(name)), folded(ipv6.find(name)))) {
      chain.rules.push_back(sets.named(std::move(rule)));
    }
  }
}

}  // namespace

Table to_nft(const std::vector<Ruleset>& rulesets, std::string table_name) {
  const std::vector<Ruleset> both = both_canonical(rulesets);
  Table table{.name = std::move(table_name)};
  Sets sets;
  for (const sluice::Table part : all_tables) append_chains(both, part, table, sets);
  table.sets = std::move(sets).all();
  check(table, both);
  return table;
}

}  // namespace sluice::nft

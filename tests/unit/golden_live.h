// SPDX-License-Identifier: GPL-2.0-or-later
// The golden configurations' rules as they would be found in a pod.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "rules/backend.h"
#include "rules/redirect.h"
#include "rules/text.h"
#include "rules/tproxy_mark.h"

namespace sluice {

struct GoldenLive {
  std::string name;
  Interception live;
};

inline bool jumps_to_inbound(const Ruleset& ruleset, Table table) {
  const TableRules* rules = find_table(ruleset, table);
  const Chain* hook = rules == nullptr ? nullptr : find_chain(*rules, "PREROUTING");
  return hook != nullptr &&
         std::any_of(hook->rules.begin(), hook->rules.end(),
                     [](const Rule& rule) { return rule.target == Target(Jump{"ISTIO_INBOUND"}); });
}

// These rules, with the address and the routes that go with them.
inline Interception live_of(std::vector<Ruleset> rulesets) {
  Interception live{.rulesets = std::move(rulesets)};
  for (const Ruleset& ruleset : live.rulesets) {
    const bool tproxy = jumps_to_inbound(ruleset, Table::mangle);
    if (tproxy) {
      live.tproxy_routes.push_back({.family = ruleset.family,
                                    .mark = tproxy_mark(ruleset).value_or(0),
                                    .table = RedirectConfig().tproxy_table});
    }
    const bool inbound = tproxy || jumps_to_inbound(ruleset, Table::nat);
    if (inbound && ruleset.family == Family::ipv6) {
      live.loopback_addresses.push_back(passthrough_source(Family::ipv6));
    }
  }
  return live;
}

// By name. Without the one of mode NONE, which has no rules.
inline const std::vector<GoldenLive>& golden_lives() {
  static const std::vector<GoldenLive> all = [] {
    std::vector<GoldenLive> made;
    for (const auto& entry : std::filesystem::directory_iterator(SLUICE_GOLDEN_DIR)) {
      if (entry.path().extension() != ".rules") continue;
      std::ifstream stream(entry.path(), std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(stream), {}};
      std::vector<Ruleset> rulesets = parse_save(text);
      const bool empty = std::all_of(rulesets.begin(), rulesets.end(),
                                     [](const Ruleset& r) { return r.tables.empty(); });
      if (!empty) made.push_back({entry.path().stem().string(), live_of(std::move(rulesets))});
    }
    std::sort(made.begin(), made.end(),
              [](const GoldenLive& a, const GoldenLive& b) { return a.name < b.name; });
    return made;
  }();
  return all;
}

inline Ruleset* find_family(Interception& live, Family family) {
  const auto found = std::find_if(live.rulesets.begin(), live.rulesets.end(),
                                  [&](const Ruleset& r) { return r.family == family; });
  return found == live.rulesets.end() ? nullptr : &*found;
}

inline TableRules* find_table_of(Interception& live, Family family, Table table) {
  Ruleset* ruleset = find_family(live, family);
  if (ruleset == nullptr) return nullptr;
  const auto found = std::find_if(ruleset->tables.begin(), ruleset->tables.end(),
                                  [&](const TableRules& t) { return t.table == table; });
  return found == ruleset->tables.end() ? nullptr : &*found;
}

// Nothing if there is no such chain.
inline std::vector<Rule>* find_rules(Interception& live, Family family, Table table,
                                     const std::string& chain) {
  TableRules* rules = find_table_of(live, family, table);
  Chain* found = rules == nullptr ? nullptr : find_chain(*rules, chain);
  return found == nullptr ? nullptr : &found->rules;
}

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/ownership.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "rules/chains.h"
#include "rules/ownership_runs.h"
#include "rules/redirect.h"
#include "rules/tproxy_mark.h"

namespace sluice {
namespace {

using Positions = std::vector<std::size_t>;

bool is_owned_jump(const Rule& rule) {
  const Jump* jump = std::get_if<Jump>(&rule.target);
  return jump != nullptr && is_owned_chain(jump->chain);
}

// A report of ours: nobody else's begins like that.
bool is_owned_report(const Rule& rule) {
  const Nflog* report = std::get_if<Nflog>(&rule.target);
  return report != nullptr && report->prefix.compare(0, nflog_prefix.size(), nflog_prefix) == 0;
}

void add_all(Positions& positions, const Positions& more) {
  positions.insert(positions.end(), more.begin(), more.end());
}

// The jumps to our chains but those of virtual interfaces, which Istio inserts at the top: behind
// what stands before the others our own rules may be found.
Positions anchors_in(const Chain& chain) {
  Positions anchors;
  for (std::size_t i = 0; i < chain.rules.size(); ++i) {
    if (is_owned_jump(chain.rules[i]) && !is_virtual_jump(chain.rules[i])) anchors.push_back(i);
  }
  return anchors;
}

// What is ours in PREROUTING and OUTPUT though nothing in the rule itself says so.
struct HookPositions {
  Positions prerouting;
  Positions output;
};

HookPositions unmarked_rules(const TableRules& table, const TableRules* written,
                             const TableRules* wanted) {
  HookPositions ours;
  const Chain* in = find_chain(table, "PREROUTING");
  const Chain* out = find_chain(table, "OUTPUT");
  if (in == nullptr || out == nullptr) return ours;
  Positions in_anchors = anchors_in(*in);
  Positions out_anchors = anchors_in(*out);
  if (table.table == Table::mangle) {
    const std::optional<std::uint32_t> mark = tproxy_mark(table);
    if (!mark) return ours;
    ours = {.prerouting = save_mark_rule(*in, *mark), .output = mark_run(*out, *mark)};
    add_all(in_anchors, ours.prerouting);
    // The run begins with the rule that the layouts write right behind the interfaces'.
    if (!ours.output.empty()) out_anchors.push_back(ours.output.front());
  }
  const InterfaceRuns runs =
      interface_runs(table, {.chain = *in, .anchors = in_anchors},
                     {.chain = *out, .anchors = out_anchors}, written, wanted);
  add_all(ours.prerouting, runs.prerouting);
  add_all(ours.output, runs.output);
  return ours;
}

}  // namespace

bool is_owned_chain(const std::string& name) {
  return std::find(chain_names.begin(), chain_names.end(), name) != chain_names.end();
}

bool is_owned_address(const IpAddress& address) {
  static const IpAddress passthrough = parse_address("::6");
  return address == passthrough;
}

std::vector<OwnedRules> owned_rules(const TableRules& table, const TableRules* written,
                                    const TableRules* wanted) {
  const bool runs = table.table == Table::nat || table.table == Table::mangle;
  const HookPositions unmarked = runs ? unmarked_rules(table, written, wanted) : HookPositions{};
  std::vector<OwnedRules> all;
  for (const Chain& chain : table.chains) {
    if (is_owned_chain(chain.name)) continue;
    OwnedRules ours{.chain = chain.name, .positions = {}};
    if (chain.name == "PREROUTING") ours.positions = unmarked.prerouting;
    if (chain.name == "OUTPUT") ours.positions = unmarked.output;
    for (std::size_t i = 0; i < chain.rules.size(); ++i) {
      if (is_owned_jump(chain.rules[i]) || is_owned_report(chain.rules[i])) {
        ours.positions.push_back(i);
      }
    }
    Positions& found = ours.positions;
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    if (!found.empty()) all.push_back(std::move(ours));
  }
  return all;
}

Ruleset owned(const Ruleset& live, const Ruleset* written) {
  if (live.exclusive.value) return live;
  Ruleset ours{.family = live.family};
  for (const TableRules& table : live.tables) {
    const TableRules* known = written == nullptr ? nullptr : find_table(*written, table.table);
    const std::vector<OwnedRules> in_other_chains = owned_rules(table, known, known);
    auto found = in_other_chains.begin();
    TableRules part{.table = table.table};
    for (const Chain& chain : table.chains) {
      if (is_owned_chain(chain.name)) part.chains.push_back(chain);
      if (found == in_other_chains.end() || found->chain != chain.name) continue;
      Chain reduced{.name = chain.name, .policy = chain.policy};
      for (const std::size_t i : found->positions) reduced.rules.push_back(chain.rules[i]);
      part.chains.push_back(std::move(reduced));
      ++found;
    }
    if (!part.chains.empty()) ours.tables.push_back(std::move(part));
  }
  return ours;
}

bool has_owned(const std::vector<Ruleset>& live) {
  return std::any_of(live.begin(), live.end(),
                     [](const Ruleset& ruleset) { return !owned(ruleset).tables.empty(); });
}

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/canonical.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "rules/runs.h"

namespace sluice {
namespace {

// Whether `cidr` holds all addresses of `other`.
bool holds(const Cidr& cidr, const Cidr& other) {
  return cidr.length <= other.length && make_cidr(other.address, cidr.length) == cidr;
}

// Whether the two are the halves of a prefix that is one bit shorter.
bool are_halves(const Cidr& low, const Cidr& high) {
  if (low.length != high.length || low.length == 0) return false;
  const auto length = static_cast<std::uint8_t>(low.length - 1);
  return make_cidr(low.address, length) == make_cidr(high.address, length);
}

// Hooks first, then names.
bool stands_before(Table table, const Chain& a, const Chain& b) {
  const std::vector<std::string>& hooks = builtin_chains(table);
  const auto place = [&](const Chain& chain) {
    return std::find(hooks.begin(), hooks.end(), chain.name) - hooks.begin();
  };
  const auto place_a = place(a);
  const auto place_b = place(b);
  return place_a == place_b ? a.name < b.name : place_a < place_b;
}

TableRules canonical(const TableRules& table) {
  TableRules result{.table = table.table};
  for (const Chain& chain : table.chains) {
    if (chain.rules.empty() && is_builtin_chain(table.table, chain.name)) continue;
    result.chains.push_back(
        {.name = chain.name, .policy = chain.policy, .rules = canonical(chain.rules)});
  }
  std::stable_sort(result.chains.begin(), result.chains.end(), [&](const Chain& a, const Chain& b) {
    return stands_before(table.table, a, b);
  });
  return result;
}

}  // namespace

std::vector<PortRange> merged(std::vector<PortRange> ports) {
  std::sort(ports.begin(), ports.end());
  std::vector<PortRange> result;
  for (const PortRange next : ports) {
    if (!result.empty() && next.first <= result.back().last + 1) {
      result.back().last = std::max(result.back().last, next.last);
    } else {
      result.push_back(next);
    }
  }
  return result;
}

std::vector<Cidr> merged(std::vector<Cidr> cidrs) {
  std::sort(cidrs.begin(), cidrs.end());
  std::vector<Cidr> result;
  for (const Cidr& next : cidrs) {
    if (!result.empty() && holds(result.back(), next)) continue;
    result.push_back(next);
    while (result.size() > 1 && are_halves(result[result.size() - 2], result.back())) {
      result.pop_back();
      Cidr& low = result.back();
      low = make_cidr(low.address, static_cast<std::uint8_t>(low.length - 1));
    }
  }
  return result;
}

std::vector<Rule> canonical(std::vector<Rule> rules) {
  std::vector<Rule> result;
  result.reserve(rules.size());
  for (const Run& run : runs_of(std::move(rules))) {
    std::vector<Rule> part = rules_of(run);
    std::move(part.begin(), part.end(), std::back_inserter(result));
  }
  return result;
}

Ruleset canonical(const Ruleset& ruleset) {
  Ruleset result{.family = ruleset.family, .exclusive = ruleset.exclusive};
  for (const Table table : all_tables) {
    const TableRules* found = find_table(ruleset, table);
    if (found == nullptr) continue;
    TableRules rules = canonical(*found);
    if (!rules.chains.empty()) result.tables.push_back(std::move(rules));
  }
  return result;
}

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/diff.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <set>
#include <utility>

#include "rules/canonical.h"
#include "rules/error.h"
#include "rules/ownership.h"
#include "rules/text.h"

namespace sluice {
namespace {

using Differences = std::vector<Difference>;

// Compares one table's chains; collects what it finds.
class TableDiff {
 public:
  TableDiff(Family family, Table table, Differences& found)
      : family_(family), table_(table), found_(found) {}

  void compare(const TableRules* wanted, const TableRules* live) {
    static const TableRules nothing;
    if (wanted == nullptr) wanted = &nothing;
    if (live == nullptr) live = &nothing;
    std::map<std::string, const Chain*> live_chains;
    for (const Chain& chain : live->chains) live_chains.emplace(chain.name, &chain);
    std::set<std::string> wanted_names;
    for (const Chain& chain : wanted->chains) {
      wanted_names.insert(chain.name);
      const auto other = live_chains.find(chain.name);
      compare(chain, other == live_chains.end() ? nullptr : other->second);
    }
    for (const Chain& chain : live->chains) {
      if (!wanted_names.contains(chain.name)) unexpected(chain);
    }
  }

 private:
  void compare(const Chain& wanted, const Chain* live) {
    static const std::vector<Rule> no_rules;
    if (live == nullptr && !wanted.policy) {
      add(DifferenceKind::missing_chain, wanted.name, "-N " + wanted.name);
    }
    compare(wanted.name, wanted.rules, live == nullptr ? no_rules : live->rules);
  }

  void unexpected(const Chain& live) {
    if (!live.policy) add(DifferenceKind::unexpected_chain, live.name, "-N " + live.name);
    compare(live.name, {}, live.rules);
  }

  // What is different only where neighbours stand or how they overlap is the same. Else the form is
  // chosen that has less to say: nf_tables gives back canonical rules, iptables what was written.
  void compare(const std::string& chain, const std::vector<Rule>& wanted,
               const std::vector<Rule>& live) {
    if (wanted == live) return;
    const std::vector<Rule> canonical_wanted = canonical(wanted);
    const std::vector<Rule> canonical_live = canonical(live);
    if (canonical_wanted == canonical_live) return;
    const Differences exact = differences(chain, wanted, live);
    const Differences other = differences(chain, canonical_wanted, canonical_live);
    // In canonical form what is out of order is so for a reason.
    const bool misplaced = exact.front().kind == DifferenceKind::misplaced_rule;
    const bool shorter = other.size() < exact.size() || (misplaced && other.size() == 1);
    const Differences& clearer = shorter ? other : exact;
    found_.insert(found_.end(), clearer.begin(), clearer.end());
  }

  // Of lists that are not equal: at least one.
  Differences differences(const std::string& chain, const std::vector<Rule>& wanted,
                          const std::vector<Rule>& live) const {
    Differences found;
    std::map<std::string, std::ptrdiff_t> surplus;
    for (const Rule& rule : live) ++surplus[to_string(chain, rule)];
    for (const Rule& rule : wanted) {
      const std::string text = to_string(chain, rule);
      if (--surplus[text] < 0) found.push_back(made(DifferenceKind::missing_rule, chain, text));
    }
    for (const Rule& rule : live) {
      const std::string text = to_string(chain, rule);
      if (surplus[text] <= 0) continue;
      --surplus[text];
      found.push_back(made(DifferenceKind::unexpected_rule, chain, text));
    }
    if (!found.empty()) return found;
    const auto [first, other] = std::mismatch(live.begin(), live.end(), wanted.begin());
    return {made(DifferenceKind::misplaced_rule, chain, to_string(chain, *first))};
  }

  Difference made(DifferenceKind kind, const std::string& chain, std::string text) const {
    return {
        .kind = kind, .family = family_, .table = table_, .chain = chain, .text = std::move(text)};
  }

  void add(DifferenceKind kind, const std::string& chain, std::string text) {
    found_.push_back(made(kind, chain, std::move(text)));
  }

  Family family_;
  Table table_;
  Differences& found_;
};

const Ruleset& ruleset_of(const Interception& all, Family family, const Ruleset& none) {
  const auto found = std::find_if(all.rulesets.begin(), all.rulesets.end(),
                                  [&](const Ruleset& r) { return r.family == family; });
  return found == all.rulesets.end() ? none : *found;
}

void diff_addresses(const Interception& wanted, const Interception& live, Differences& found) {
  const auto add_missing = [&](const std::vector<Cidr>& all, const std::vector<Cidr>& other,
                               DifferenceKind kind) {
    for (const Cidr& cidr : all) {
      if (std::find(other.begin(), other.end(), cidr) != other.end()) continue;
      found.push_back({.kind = kind, .family = cidr.address.family, .text = to_string(cidr)});
    }
  };
  add_missing(wanted.loopback_addresses, live.loopback_addresses, DifferenceKind::missing_address);
  add_missing(live.loopback_addresses, wanted.loopback_addresses,
              DifferenceKind::unexpected_address);
}

// Whether the whole list has no route of the family.
bool lacks_family(const std::vector<TproxyRoute>& all, Family family) {
  return std::none_of(all.begin(), all.end(),
                      [&](const TproxyRoute& route) { return route.family == family; });
}

void diff_routes(const Interception& wanted, const Interception& live, Differences& found) {
  const auto add_missing = [&](const std::vector<TproxyRoute>& all,
                               const std::vector<TproxyRoute>& other, DifferenceKind kind) {
    for (const TproxyRoute& route : all) {
      if (std::find(other.begin(), other.end(), route) != other.end()) continue;
      const bool optional = kind == DifferenceKind::missing_route && route.family == Family::ipv6 &&
                            !wanted.ipv6_required;
      if (optional && lacks_family(other, route.family)) continue;
      found.push_back({.kind = kind, .family = route.family, .text = to_string(route)});
    }
  };
  add_missing(wanted.tproxy_routes, live.tproxy_routes, DifferenceKind::missing_route);
  add_missing(live.tproxy_routes, wanted.tproxy_routes, DifferenceKind::unexpected_route);
}

}  // namespace

std::string to_string(const Difference& difference) {
  const auto rule = [&](const char* what) {
    return std::string(what) + ": " + to_string(difference.family) + " " +
           to_string(difference.table) + ": " + printable(difference.text);
  };
  switch (difference.kind) {
    case DifferenceKind::missing_chain:
    case DifferenceKind::missing_rule:
      return rule("missing");
    case DifferenceKind::unexpected_chain:
    case DifferenceKind::unexpected_rule:
      return rule("unexpected");
    case DifferenceKind::misplaced_rule:
      return rule("out of order");
    case DifferenceKind::missing_address:
      return "missing: address " + difference.text + " on lo";
    case DifferenceKind::unexpected_address:
      return "unexpected: address " + difference.text + " on lo";
    case DifferenceKind::missing_route:
      return std::string("missing: ") + to_string(difference.family) + " route: " + difference.text;
    case DifferenceKind::unexpected_route:
      return std::string("unexpected: ") + to_string(difference.family) +
             " route: " + difference.text;
    case DifferenceKind::stray:
      return "unexpected: rules of ours in " + printable(difference.text) + " too";
  }
  return difference.text;
}

bool owns_exactly(const TableRules& live, const TableRules& wanted, const TableRules* written) {
  std::size_t chains_unseen = 0;
  for (const Chain& chain : live.chains) chains_unseen += is_owned_chain(chain.name) ? 1U : 0U;
  std::size_t others_seen = 0;
  const std::vector<OwnedRules> others = owned_rules(live, written, &wanted);
  for (const Chain& chain : wanted.chains) {
    const Chain* counterpart = find_chain(live, chain.name);
    if (is_owned_chain(chain.name)) {
      if (counterpart == nullptr || counterpart->rules != chain.rules) return false;
      --chains_unseen;
      continue;
    }
    const auto found = std::find_if(others.begin(), others.end(),
                                    [&](const OwnedRules& o) { return o.chain == chain.name; });
    const bool same =
        found == others.end()
            ? chain.rules.empty()
            : std::equal(found->positions.begin(), found->positions.end(), chain.rules.begin(),
                         chain.rules.end(), [&](std::size_t position, const Rule& rule) {
                           return counterpart->rules[position] == rule;
                         });
    if (!same) return false;
    if (found != others.end()) ++others_seen;
  }
  return chains_unseen == 0 && others_seen == others.size();
}

Differences diff(const Ruleset& wanted, const Ruleset& live) {
  Differences found;
  for (const Table table : all_tables) {
    TableDiff(wanted.family, table, found)
        .compare(find_table(wanted, table), find_table(live, table));
  }
  return found;
}

Differences diff(const Interception& wanted, const Interception& live) {
  Differences found;
  for (const Family family : families) {
    const Ruleset none{.family = family};
    const Ruleset& asked = ruleset_of(wanted, family, none);
    const Ruleset ours = owned(ruleset_of(live, family, none), &asked);
    if (family == Family::ipv6 && !wanted.ipv6_required && ours.tables.empty()) continue;
    const Differences part = diff(asked, ours);
    found.insert(found.end(), part.begin(), part.end());
  }
  diff_addresses(wanted, live, found);
  diff_routes(wanted, live, found);
  for (const std::string& place : live.strays) {
    found.push_back({.kind = DifferenceKind::stray, .text = place});
  }
  return found;
}

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
// From nf_tables' form to rule sets.
#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "rules/canonical.h"
#include "rules/nft/translate.h"
#include "rules/runs.h"

namespace sluice::nft {
namespace {

using Rules = std::vector<sluice::Rule>;

struct ChainKey {
  sluice::Table table = sluice::Table::nat;
  std::string name;

  auto operator<=>(const ChainKey&) const = default;
};

bool is_of(const std::optional<AddressMatch>& match, Family family) {
  return !match || match->cidr.address.family == family;
}

// Whether a packet of the family can be what the rule speaks of.
bool concerns(const Rule& rule, Family family) {
  return rule.family.value_or(family) == family && is_of(rule.rule.source, family) &&
         is_of(rule.rule.destination, family);
}

// As iptables has it: the target says the family too.
void remember_family(sluice::Target& target, Family family) {
  if (auto* reject = std::get_if<RejectWithPortUnreachable>(&target)) reject->family = family;
  auto* tproxy = std::get_if<Tproxy>(&target);
  if (tproxy != nullptr && tproxy->address == IpAddress()) tproxy->address.family = family;
}

// The sets of a table; counts who uses them.
class Users {
 public:
  explicit Users(const std::vector<Set>& sets) {
    for (const Set& set : sets) sets_.emplace(set.name, &set);
  }

  // The set that the rule needs, nullptr if it cannot be had.
  const Set* set_for(const Rule& rule) {
    const std::array names{&rule.source_set, &rule.destination_set, &rule.port_set};
    const auto given = [](const std::string* name) { return !name->empty(); };
    if (std::count_if(names.begin(), names.end(), given) != 1) return nullptr;
    const std::string& name = **std::find_if(names.begin(), names.end(), given);
    const auto found = sets_.find(name);
    if (found == sets_.end() || ++uses_[name] > set_uses_limit) return nullptr;
    const Set& set = *found->second;
    if (!is_usable(set, rule)) return nullptr;
    const std::size_t families = rule.family || set.family ? 1 : 2;
    const std::size_t rules = (set.ports.size() + set.cidrs.size()) * families;
    if (rules > unfolded_left_) return nullptr;
    unfolded_left_ -= rules;
    return &set;
  }

 private:
  static bool is_usable(const Set& set, const Rule& rule) {
    if (rule.port_set.empty()) {
      const bool free = rule.source_set.empty() ? !rule.rule.destination : !rule.rule.source;
      return set.family && free;
    }
    const bool protocol =
        rule.rule.protocol == Protocol::tcp || rule.rule.protocol == Protocol::udp;
    return !set.family && protocol;
  }

  std::unordered_map<std::string_view, const Set*> sets_;
  std::unordered_map<std::string_view, std::size_t> uses_;
  std::size_t unfolded_left_ = unfolded_limit;
};

bool needs_set(const Rule& rule) {
  return !rule.source_set.empty() || !rule.destination_set.empty() || !rule.port_set.empty();
}

void unfold(const Rule& rule, const sluice::Rule& rest, const Set& set, Rules& rules) {
  if (!rule.port_set.empty()) {
    for (const PortRange ports : without_all(set.ports)) {
      rules.push_back(with_ports(rest, *rest.protocol, ports));
    }
    return;
  }
  for (const Cidr& cidr : without_all(set.cidrs)) {
    sluice::Rule& made = rules.emplace_back(rest);
    (rule.source_set.empty() ? made.destination : made.source) = AddressMatch{.cidr = cidr};
  }
}

// One family's rules, chain by chain.
class FamilyRules {
 public:
  explicit FamilyRules(Family family) : family_(family) {}

  void add(const ChainKey& key, const Rule& rule, const Set* set) {
    if (!concerns(rule, family_)) return;
    if (set != nullptr && set->family.value_or(family_) != family_) return;
    sluice::Rule rest = rule.rule;
    remember_family(rest.target, family_);
    if (const auto* jump = std::get_if<Jump>(&rest.target)) {
      targets_.insert({.table = key.table, .name = jump->chain});
    }
    tables_.insert(key.table);
    Rules& rules = chains_[key];
    if (set != nullptr) {
      unfold(rule, rest, *set, rules);
      return;
    }
    if (needs_set(rule)) {
      rest.matches.emplace_back(
          Opaque{"@" + rule.source_set + " @" + rule.destination_set + " @" + rule.port_set});
    }
    rules.push_back(std::move(rest));
  }

  bool has_rules(const ChainKey& key) const { return chains_.contains(key); }
  bool has_rules(sluice::Table table) const { return tables_.contains(table); }
  bool jumps_to(const ChainKey& key) const { return targets_.contains(key); }

  void declare(const ChainKey& key) { chains_[key]; }
  Ruleset ruleset() && {
    Ruleset all{.family = family_, .exclusive = {true}};
    for (const sluice::Table table : all_tables) all.tables.push_back({.table = table});
    for (auto& [key, rules] : chains_) {
      const bool builtin = is_builtin_chain(key.table, key.name);
      all.tables.at(static_cast<std::size_t>(key.table))
          .chains.push_back({.name = key.name,
                             .policy = builtin ? std::optional(Policy::accept) : std::nullopt,
                             .rules = std::move(rules)});
    }
    return canonical(all);
  }

 private:
  Family family_;
  std::map<ChainKey, Rules> chains_;
  std::set<sluice::Table> tables_;
  std::set<ChainKey> targets_;
};

// Which of the chains without rules are the family's.
std::vector<ChainKey> empty_chains(const std::vector<ChainKey>& keys, const FamilyRules& rules,
                                   const FamilyRules& other) {
  std::vector<ChainKey> missing;
  for (const ChainKey& key : keys) {
    if (rules.has_rules(key)) continue;
    const bool nobodys = !other.has_rules(key);
    const bool has_table = rules.has_rules(key.table) || !other.has_rules(key.table);
    if (rules.jumps_to(key) || (nobodys && has_table)) missing.push_back(key);
  }
  return missing;
}

}  // namespace

std::vector<Ruleset> from_nft(const Table& table) {
  FamilyRules ipv4(Family::ipv4);
  FamilyRules ipv6(Family::ipv6);
  Users users(table.sets);
  std::vector<ChainKey> keys;
  for (const Chain& chain : table.chains) {
    const ChainKey& key = keys.emplace_back(ChainKey{.table = chain.table, .name = chain.name});
    for (const Rule& rule : chain.rules) {
      const Set* set = needs_set(rule) ? users.set_for(rule) : nullptr;
      ipv4.add(key, rule, set);
      ipv6.add(key, rule, set);
    }
  }
  const std::vector<ChainKey> empty_in_ipv4 = empty_chains(keys, ipv4, ipv6);
  for (const ChainKey& key : empty_chains(keys, ipv6, ipv4)) ipv6.declare(key);
  for (const ChainKey& key : empty_in_ipv4) ipv4.declare(key);
  return {std::move(ipv4).ruleset(), std::move(ipv6).ruleset()};
}

}  // namespace sluice::nft

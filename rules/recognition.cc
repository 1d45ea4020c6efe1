// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/recognition.h"

#include <algorithm>
#include <utility>

#include "rules/canonical.h"
#include "rules/diff.h"
#include "rules/layout.h"
#include "rules/ownership.h"
#include "rules/recognition_read.h"

namespace sluice {
namespace {

const Ruleset& ruleset_of(const Interception& all, Family family) {
  static const Ruleset ipv4{.family = Family::ipv4};
  static const Ruleset ipv6{.family = Family::ipv6};
  const auto found = std::find_if(all.rulesets.begin(), all.rulesets.end(),
                                  [&](const Ruleset& r) { return r.family == family; });
  if (found != all.rulesets.end()) return *found;
  return family == Family::ipv4 ? ipv4 : ipv6;
}

bool has_exactly(const Ruleset& live, const Ruleset& wanted, const Ruleset& /*ours*/) {
  return std::all_of(all_tables.begin(), all_tables.end(), [&](Table table) {
    const TableRules none{.table = table};
    const TableRules* found = find_table(live, table);
    const TableRules* asked = find_table(wanted, table);
    return owns_exactly(found == nullptr ? none : *found, asked == nullptr ? none : *asked, asked);
  });
}

// The addresses on lo and the routes.
bool has_surroundings(const Interception& live, Interception wanted) {
  const bool redirects_ipv6 = find_table(ruleset_of(wanted, Family::ipv6), Table::nat) != nullptr;
  // Istio gives lo this address whether or not it is of use.
  if (redirects_ipv6 && wanted.loopback_addresses.empty()) {
    wanted.loopback_addresses = live.loopback_addresses;
  }
  wanted.rulesets.clear();
  return diff(wanted,
              {.loopback_addresses = live.loopback_addresses, .tproxy_routes = live.tproxy_routes})
      .empty();
}

// What diff() compares, without a word on the differences.
Ruleset without_policies(Ruleset ruleset) {
  for (TableRules& table : ruleset.tables) {
    for (Chain& chain : table.chains) chain.policy.reset();
  }
  return ruleset;
}

std::vector<const Chain*> owned_chains(const Ruleset& ruleset, Table table) {
  std::vector<const Chain*> chains;
  if (const TableRules* rules = find_table(ruleset, table)) {
    for (const Chain& chain : rules->chains) {
      if (is_owned_chain(chain.name)) chains.push_back(&chain);
    }
  }
  return chains;
}

// `ours` is the canonical form of what is ours where it is not known what was wanted: of our own
// chains, which may be full of rules, that is all. Only of others more may be told.
bool has_the_same(const Ruleset& live, const Ruleset& wanted, const Ruleset& ours) {
  const Ruleset asked = canonical(wanted);
  const bool chains = std::all_of(all_tables.begin(), all_tables.end(), [&](Table table) {
    const std::vector<const Chain*> found = owned_chains(ours, table);
    const std::vector<const Chain*> other = owned_chains(asked, table);
    return std::equal(found.begin(), found.end(), other.begin(), other.end(),
                      [](const Chain* a, const Chain* b) { return *a == *b; });
  });
  return chains && without_policies(canonical(owned(live, &wanted))) == without_policies(asked);
}

bool writes(const RedirectConfig& config, const PodNetwork& pod, const Interception& live,
            const recognition::OwnRules& ours) {
  const auto has = ours.canonical ? has_the_same : has_exactly;
  Interception wanted = interception(config, pod);
  const bool same_rules = std::all_of(families.begin(), families.end(), [&](Family family) {
    return has(ruleset_of(live, family), ruleset_of(wanted, family),
               family == Family::ipv4 ? ours.ipv4 : ours.ipv6);
  });
  return same_rules && has_surroundings(live, std::move(wanted));
}

// Whether one family captures whatever its destination is and the other nothing. A list can ask for
// that, but it is what is left of "*" where somebody took one family's last rule out.
bool captures_one_family(const RedirectConfig& config) {
  const Selection<Cidr>& included = config.include_outbound_cidrs;
  return config.ipv6 != Ipv6Policy::never && included.list.size() == 1 &&
         included.list.front().length == 0;
}

std::optional<RedirectConfig> read(const recognition::OwnRules& ours, const Interception& live,
                                   const PodNetwork& pod, Ambiguous exception) {
  for (const Layout& layout : layouts()) {
    RedirectConfig config = recognition::read_config(ours, layout, live.tproxy_routes);
    if (!recognition::is_possible(config)) continue;
    if (exception == Ambiguous::refused && captures_one_family(config)) continue;
    if (writes(config, pod, live, ours)) return config;
  }
  return std::nullopt;
}

}  // namespace

std::optional<RedirectConfig> recognise(const Interception& live, const PodNetwork& pod,
                                        Ambiguous exception) {
  if (!live.strays.empty()) return std::nullopt;
  const recognition::OwnRules exact{.ipv4 = owned(ruleset_of(live, Family::ipv4)),
                                    .ipv6 = owned(ruleset_of(live, Family::ipv6))};
  if (std::optional<RedirectConfig> config = read(exact, live, pod, exception)) return config;
  return read({.ipv4 = canonical(exact.ipv4), .ipv6 = canonical(exact.ipv6), .canonical = true},
              live, pod, exception);
}

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/recognition.h"

#include <algorithm>
#include <utility>

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

bool has_exactly(const Ruleset& live, const Ruleset& wanted) {
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

bool writes(const RedirectConfig& config, const PodNetwork& pod, const Interception& live) {
  Interception wanted = interception(config, pod);
  const bool same_rules = std::all_of(families.begin(), families.end(), [&](Family family) {
    return has_exactly(ruleset_of(live, family), ruleset_of(wanted, family));
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

}  // namespace

std::optional<RedirectConfig> recognise(const Interception& live, const PodNetwork& pod) {
  const recognition::OwnRules ours{.ipv4 = owned(ruleset_of(live, Family::ipv4)),
                                   .ipv6 = owned(ruleset_of(live, Family::ipv6))};
  for (const Layout& layout : layouts()) {
    RedirectConfig config = recognition::read_config(ours, layout, live.tproxy_routes);
    if (recognition::is_possible(config) && !captures_one_family(config) &&
        writes(config, pod, live)) {
      return config;
    }
  }
  return std::nullopt;
}

}  // namespace sluice

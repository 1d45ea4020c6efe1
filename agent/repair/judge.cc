// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/judge.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "cni/verbs.h"
#include "rules/diff.h"
#include "rules/ownership.h"
#include "rules/recognition.h"

namespace sluice::agent {
namespace {

constexpr std::size_t shown_bytes = 300;

const Ruleset* find_ruleset(const Interception& all, Family family) {
  const auto found = std::find_if(all.rulesets.begin(), all.rulesets.end(),
                                  [&](const Ruleset& r) { return r.family == family; });
  return found == all.rulesets.end() ? nullptr : &*found;
}

// `written` as in owned().
bool has_own_rules(const Interception& live, Family family, const Ruleset* written = nullptr) {
  const Ruleset* ruleset = find_ruleset(live, family);
  return ruleset != nullptr && !owned(*ruleset, written).tables.empty();
}

bool redirects_ipv6(const Interception& live) {
  const Ruleset* ruleset = find_ruleset(live, Family::ipv6);
  return ruleset != nullptr && find_table(owned(*ruleset), Table::nat) != nullptr;
}

PodNetwork network_of(const PodView& view) {
  PodNetwork network{.addresses = view.addresses, .ipv6_on_loopback = view.ipv6_on_loopback};
  for (const Link& link : view.links) {
    if (link.name != view.interface) continue;
    for (const IpAddress& address : link.addresses) {
      auto& known = network.addresses;
      if (std::find(known.begin(), known.end(), address) == known.end()) known.push_back(address);
    }
  }
  return network;
}

// As in the plugin's wanted_in(): what another network or another order of the addresses decided
// for IPv6 must not be undone.
RedirectConfig effective(const RedirectConfig& config, const PodView& view,
                         const PodNetwork& network) {
  RedirectConfig used = config;
  if (ipv6_action(config, network) == FamilyAction::redirect || !redirects_ipv6(view.live)) {
    return used;
  }
  const bool has_ipv6 =
      std::any_of(network.addresses.begin(), network.addresses.end(), is_usable_ipv6);
  if (has_ipv6 || cni::is_connected_otherwise(view.links, view.interface)) used.dual_stack = true;
  return used;
}

bool is_first(const PodNetwork& network, Family family) {
  return !network.addresses.empty() && network.addresses.front().family == family;
}

// Makes `wanted` what is there already in that family, where no rule of ours is.
void leave(Interception& wanted, const Interception& live, Family family) {
  std::erase_if(wanted.rulesets, [&](const Ruleset& r) { return r.family == family; });
  std::erase_if(wanted.tproxy_routes, [&](const TproxyRoute& r) { return r.family == family; });
  std::erase_if(wanted.loopback_addresses,
                [&](const Cidr& cidr) { return cidr.address.family == family; });
  for (const TproxyRoute& route : live.tproxy_routes) {
    if (route.family == family) wanted.tproxy_routes.push_back(route);
  }
  for (const Cidr& cidr : live.loopback_addresses) {
    if (cidr.address.family == family) wanted.loopback_addresses.push_back(cidr);
  }
}

// Takes those families out of `wanted` whose listeners are not known; says which.
std::string leave_unknown_families(Interception& wanted, const RedirectConfig& config,
                                   const PodNetwork& network, const Interception& live) {
  std::string left;
  if (config.dual_stack) return left;
  for (const Family family : families) {
    const Ruleset* ruleset = find_ruleset(wanted, family);
    if (ruleset == nullptr || ruleset->tables.empty()) continue;
    // Nobody needs to listen where connections are refused.
    const bool blocks =
        family == Family::ipv6 && ipv6_action(config, network) == FamilyAction::block;
    if (blocks || is_first(network, family) || has_own_rules(live, family, ruleset)) continue;
    leave(wanted, live, family);
    left = std::string(to_string(family)) +
           " is left as it is: the sidecar is not known to listen there";
  }
  return left;
}

// Whether one family is as wanted and the other, wanted too, has nothing.
bool lacks_whole_family(const Interception& wanted, const Interception& live) {
  bool lacking = false;
  bool whole = false;
  for (const Family family : families) {
    const Ruleset* asked = find_ruleset(wanted, family);
    if (asked == nullptr || asked->tables.empty()) continue;
    const Ruleset none{.family = family};
    const Ruleset* found = find_ruleset(live, family);
    const Ruleset ours = owned(found == nullptr ? none : *found, asked);
    if (ours.tables.empty()) {
      lacking = true;
    } else if (diff(*asked, ours).empty()) {
      whole = true;
    } else {
      return false;
    }
  }
  return lacking && whole;
}

bool captures_outbound(const RedirectConfig& config) {
  return config.include_outbound_cidrs.all || !config.include_outbound_cidrs.list.empty() ||
         !config.include_outbound_ports.empty();
}

bool captures_inbound(const RedirectConfig& config) {
  return config.include_inbound_ports.all || !config.include_inbound_ports.list.empty();
}

// Without its last rule a chain is what a configuration that captures nothing writes. A pod that
// should be captured is not left open because somebody might have asked for that.
bool opens(const RedirectConfig& live, const RedirectConfig& wanted) {
  return (captures_outbound(wanted) && !captures_outbound(live)) ||
         (captures_inbound(wanted) && !captures_inbound(live));
}

bool is_whole(const Interception& live, const RedirectConfig& wanted, const PodNetwork& network) {
  const std::optional<RedirectConfig> other = recognise(live, network);
  return other && !opens(*other, wanted);
}

// At most `shown_bytes` of it, never half a character.
std::string shorten(const std::string& text) {
  if (text.size() <= shown_bytes) return text;
  std::size_t end = shown_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end) + "...";
}

std::string describe_differences(const std::vector<Difference>& differences) {
  if (differences.empty()) return "no difference";
  std::string text = shorten(to_string(differences.front()));
  if (differences.size() > 1) {
    text += "; and " + std::to_string(differences.size() - 1) + " more";
  }
  return text;
}

}  // namespace

bool has_own_rules(const Interception& live) {
  return std::any_of(families.begin(), families.end(),
                     [&](Family family) { return has_own_rules(live, family); });
}

std::string describe(const Interception& wanted, const Interception& live) {
  return describe_differences(diff(wanted, live));
}

Judgement judge(const RedirectConfig& config, const PodView& view) {
  const PodNetwork network = network_of(view);
  Judgement found{.wanted = interception(effective(config, view, network), network)};
  const std::string left = leave_unknown_families(found.wanted, config, network, view.live);
  const std::vector<Difference> differences = diff(found.wanted, view.live);
  const bool any_of_ours = std::any_of(families.begin(), families.end(), [&](Family family) {
    return has_own_rules(view.live, family, find_ruleset(found.wanted, family));
  });
  if (differences.empty()) {
    found.why = left;
    return found;
  }
  found.why = describe_differences(differences);
  if (!any_of_ours) {
    found.condition = PodCondition::missing;
    found.why = "no rule that redirects it is there";
  } else if (!lacks_whole_family(found.wanted, view.live) && is_whole(view.live, config, network)) {
    found.condition = PodCondition::outdated;
  } else {
    found.condition = PodCondition::damaged;
  }
  if (!left.empty()) found.why += "; " + left;
  return found;
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// What happens to each family in a pod; redirect.cc has the rules.
#include <algorithm>
#include <iterator>

#include "rules/policy/policy.h"
#include "rules/redirect.h"

namespace sluice {
namespace {

// Packets that mode TPROXY marks must find their way to this host.
void add_tproxy_route(Interception& all, const RedirectConfig& config, Family family) {
  if (config.mode != InterceptionMode::tproxy || !policy::captures_inbound(config)) return;
  all.tproxy_routes.push_back(
      {.family = family, .mark = config.tproxy_mark, .table = config.tproxy_table});
}

}  // namespace

bool is_usable_ipv6(const IpAddress& address) {
  return address.family == Family::ipv6 && !is_loopback(address) && !is_link_local(address) &&
         !is_multicast(address);
}

FamilyAction ipv6_action(const RedirectConfig& config, const PodNetwork& pod) {
  switch (config.ipv6) {
    case Ipv6Policy::always:
      return FamilyAction::redirect;
    case Ipv6Policy::never:
      return FamilyAction::none;
    case Ipv6Policy::block:
    case Ipv6Policy::automatic:
      break;
  }
  if (config.dual_stack) return FamilyAction::redirect;
  const auto first = std::find_if(
      pod.addresses.begin(), pod.addresses.end(),
      [](const IpAddress& a) { return !is_loopback(a) && !is_link_local(a) && !is_multicast(a); });
  if (first != pod.addresses.end() && first->family == Family::ipv6) return FamilyAction::redirect;
  return config.ipv6 == Ipv6Policy::block ? FamilyAction::block : FamilyAction::none;
}

std::vector<IpAddress> uncaptured_ipv6(const RedirectConfig& config, const PodNetwork& pod) {
  std::vector<IpAddress> leaking;
  if (config.mode == InterceptionMode::none || config.ipv6 != Ipv6Policy::automatic ||
      ipv6_action(config, pod) != FamilyAction::none) {
    return leaking;
  }
  std::copy_if(pod.addresses.begin(), pod.addresses.end(), std::back_inserter(leaking),
               is_usable_ipv6);
  return leaking;
}

Interception interception(const RedirectConfig& config, const PodNetwork& pod) {
  Interception all;
  if (config.mode == InterceptionMode::none) return all;
  const FamilyAction ipv6 = ipv6_action(config, pod);
  all.rulesets.push_back(redirect_ruleset(config, Family::ipv4));
  add_tproxy_route(all, config, Family::ipv4);
  if (ipv6 != FamilyAction::none) {
    all.rulesets.push_back(redirect_ruleset(config, Family::ipv6, ipv6));
  }
  if (ipv6 == FamilyAction::redirect) add_tproxy_route(all, config, Family::ipv6);
  if (ipv6 == FamilyAction::redirect && policy::captures_inbound(config) && pod.ipv6_on_loopback) {
    all.loopback_addresses.push_back(passthrough_source(Family::ipv6));
  }
  all.ipv6_required = std::any_of(pod.addresses.begin(), pod.addresses.end(), is_usable_ipv6);
  return all;
}

}  // namespace sluice

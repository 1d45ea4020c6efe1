// SPDX-License-Identifier: GPL-2.0-or-later
// What the pod sends, read off ISTIO_OUTPUT and ISTIO_OUTPUT_DNS.
#include <algorithm>
#include <iterator>
#include <span>

#include "rules/chains.h"
#include "rules/recognition_read.h"

namespace sluice::recognition {
namespace {

using Rules = std::span<const Rule>;

// ISTIO_OUTPUT by the two rules that are always there: what the passthrough sends over lo leaves
// it, and later what is sent to the host itself.
struct Sections {
  Rules exclusions;    // ports and users
  Rules owners;        // the sidecar's, and groups
  Rules destinations;  // from the host's own on
  std::optional<Cidr> localhost = std::nullopt;
  // Which of the destinations' rules is the host's own. None where it is part of another one.
  std::optional<std::size_t> itself = std::nullopt;
};

// The last owner that a rule looks at.
const Owner* owner_of(const Rule& rule) {
  const auto found = std::find_if(rule.matches.rbegin(), rule.matches.rend(),
                                  [](const Match& m) { return std::holds_alternative<Owner>(m); });
  return found == rule.matches.rend() ? nullptr : &std::get<Owner>(*found);
}

bool is_passthrough(const Rule& rule, Family family) {
  return rule.source && rule.source->cidr == passthrough_source(family) && rule.out &&
         returns(rule);
}

bool is_own_destination(const Rule& rule) {
  return rule.destination && !rule.destination->negated && !rule.source && !rule.in && !rule.out &&
         !rule.protocol && rule.matches.empty() && returns(rule);
}

// A call of the sidecar to its own pod.
bool is_self_call(const Rule& rule) {
  return owner_of(rule) != nullptr && jumps_to(rule, inbound_redirect_chain);
}

// What the host itself is, where its own rule may be one of a run with excluded CIDRs.
Cidr localhost_of(Rules owners, const Cidr& otherwise) {
  if (otherwise.address.family == Family::ipv6) return parse_cidr("::1/128");
  const auto found = std::find_if(owners.begin(), owners.end(), [](const Rule& rule) {
    return is_self_call(rule) && rule.destination && rule.destination->negated;
  });
  return found == owners.end() ? otherwise : found->destination->cidr;
}

Sections split(const Ruleset& ruleset, bool canonical) {
  const std::vector<Rule>& output = rules_in(ruleset, capturing_table(ruleset), output_chain);
  const auto passthrough = std::find_if(output.begin(), output.end(), [&](const Rule& rule) {
    return is_passthrough(rule, ruleset.family);
  });
  Sections parts{.exclusions = {output.begin(), passthrough}, .owners = {}, .destinations = {}};
  if (passthrough == output.end()) return parts;
  const auto own = std::find_if(passthrough, output.end(), is_own_destination);
  parts.owners = {std::next(passthrough), own};
  if (own == output.end()) return parts;
  parts.localhost = own->destination->cidr;
  if (canonical) parts.localhost = localhost_of(parts.owners, *parts.localhost);
  const auto run_end = std::find_if_not(own, output.end(), is_own_destination);
  const auto last = canonical ? run_end : std::next(own);
  const auto itself = std::find_if(
      own, last, [&](const Rule& rule) { return rule.destination->cidr == *parts.localhost; });
  parts.destinations = {own, output.end()};
  if (itself != last) parts.itself = static_cast<std::size_t>(itself - own);
  // What guests send to goes the same way, and there is nothing of the host's own among it.
  const std::vector<Rule>& guests = rules_in(ruleset, capturing_table(ruleset), virtual_chain);
  if (!canonical || guests.empty()) return parts;
  parts.destinations = guests;
  parts.itself.reset();
  return parts;
}

// `[-p PROTOCOL [--dport PORTS]] --uid-owner UIDS`, a port at a time.
void add_excluded_user(const Rule& rule, const OwnerRange& uids, RedirectConfig& config) {
  UidExclusion exclusion{.protocol = rule.protocol,
                         .uids = {{.first = uids.first, .last = uids.last}}};
  if (rule.matches.size() > 1) {
    Rule ports = rule;
    ports.matches.pop_back();
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
      if (const auto found = only_ports(ports, protocol)) exclusion.ports.push_back(*found);
    }
  }
  config.exclude_outbound_for_uids.push_back(std::move(exclusion));
}

void read_exclusions(Rules rules, RedirectConfig& config) {
  std::vector<PortRange>& excluded = config.exclude_outbound_ports.emplace();
  for (const Rule& rule : rules) {
    if (!returns(rule)) continue;
    const Owner* owner = owner_of(rule);
    if (owner != nullptr && owner->uid) add_excluded_user(rule, *owner->uid, config);
    // Where a layout has a rule for UDP too, it goes with the one for TCP.
    if (const auto ports = only_ports(rule, Protocol::tcp)) excluded.push_back(*ports);
  }
}

// The sidecar's users and groups have a rule each that sends calls to the pod itself back to it.
void read_proxies(Rules rules, RedirectConfig& config) {
  config.proxy_uids.clear();
  config.proxy_gids.clear();
  for (const Rule& rule : rules) {
    if (!is_self_call(rule)) continue;
    const Owner* owner = owner_of(rule);
    if (owner->uid) config.proxy_uids.push_back(owner->uid->first);
    if (owner->gid) config.proxy_gids.push_back(owner->gid->first);
  }
}

// The port of those that the rule excludes that is not DNS; DNS if there is no other.
std::uint16_t excluded_besides_dns(const Rule& rule) {
  constexpr std::uint16_t dns = 53;
  std::uint16_t port = 0;
  for (const Match& match : rule.matches) {
    std::vector<PortRange> excluded;
    if (const Tcp* tcp = std::get_if<Tcp>(&match); tcp != nullptr && tcp->destination) {
      excluded = {tcp->destination->ports};
    }
    if (const Multiport* list = std::get_if<Multiport>(&match)) excluded = list->destinations;
    for (const PortRange ports : excluded) {
      for (const std::uint16_t candidate : {ports.first, ports.last}) {
        if (port == 0 || port == dns) port = candidate;
      }
    }
  }
  return port;
}

// `-m owner ! --gid-owner A -m owner ! --gid-owner B`, possibly of none.
bool is_group_list(const Rule& rule) {
  return returns(rule) && has_no_path(rule) && !rule.protocol &&
         std::all_of(rule.matches.begin(), rule.matches.end(), [](const Match& match) {
           const Owner* owner = std::get_if<Owner>(&match);
           return owner != nullptr && owner->gid && owner->gid->negated;
         });
}

void read_groups(Rules rules, RedirectConfig& config) {
  std::vector<std::uint32_t> left_alone;
  for (const Rule& rule : rules) {
    if (is_group_list(rule)) {
      config.include_owner_groups.all = false;
      for (const Match& match : rule.matches) {
        config.include_owner_groups.list.push_back(std::get<Owner>(match).gid->first);
      }
      continue;
    }
    const Owner* owner = owner_of(rule);
    if (owner == nullptr || !owner->gid || owner->gid->negated) continue;
    if (returns(rule)) left_alone.push_back(owner->gid->first);
  }
  // The sidecar's own come first.
  const std::size_t own = std::min(config.proxy_gids.size(), left_alone.size());
  left_alone.erase(left_alone.begin(), left_alone.begin() + static_cast<std::ptrdiff_t>(own));
  config.exclude_owner_groups = std::move(left_alone);
}

// Whether what others send over lo is captured. The mark is another rule's: of the sidecar's calls.
bool captures_loopback(Rules owners) {
  return std::none_of(owners.begin(), owners.end(), [](const Rule& rule) {
    return returns(rule) && rule.out && !rule.source && !rule.destination &&
           (rule.matches.empty() || !std::holds_alternative<Mark>(rule.matches.front()));
  });
}

// What a family's destinations are.
void read_destinations(const Sections& parts, const Ruleset& ruleset, bool canonical,
                       RedirectConfig& config) {
  std::vector<Cidr> included;
  for (std::size_t i = 0; i < parts.destinations.size(); ++i) {
    const Rule& rule = parts.destinations[i];
    if (rule.source || rule.in || rule.out || rule.protocol || !rule.matches.empty()) continue;
    const Cidr cidr = cidr_of(rule.destination, ruleset.family);
    if (returns(rule) && parts.itself != i) config.exclude_outbound_cidrs.push_back(cidr);
    if (jumps_to(rule, redirect_chain) || jumps_to(rule, reject_chain)) included.push_back(cidr);
  }
  if (canonical && !config.layout->virtual_interfaces_in_full) {
    included = inserted_cidrs(ruleset).value_or(included);
  }
  std::vector<Cidr>& list = config.include_outbound_cidrs.list;
  list.insert(list.end(), included.begin(), included.end());
}

// Behind the element that has swallowed it: there it is swallowed again. IPv6's first: it is never
// inserted for virtual interfaces where IPv6 is blocked, and IPv4's own would be seen.
void add_loopback(std::vector<Cidr>& list) {
  for (const char* text : {"::1/128", "127.0.0.0/8"}) {
    const Cidr loopback = parse_cidr(text);
    // What holds everything is a rule without a destination, which swallows none.
    const auto found = std::find_if(list.begin(), list.end(), [&](const Cidr& cidr) {
      return cidr.address.family == loopback.address.family && cidr.length > 0 &&
             cidr.length < loopback.length && make_cidr(loopback.address, cidr.length) == cidr;
    });
    if (found == list.end()) continue;
    list.insert(std::next(found), loopback);
    return;
  }
  list.push_back(parse_cidr("::1/128"));
}

// Turns the list into "*" if it is no more than that.
void settle_included(bool loopback, const OwnRules& ours, RedirectConfig& config) {
  Selection<Cidr>& included = config.include_outbound_cidrs;
  std::vector<Cidr> everything{cidr_of(std::nullopt, Family::ipv4)};
  if (config.ipv6 != Ipv6Policy::never) everything.push_back(cidr_of(std::nullopt, Family::ipv6));
  if (!loopback && included.list == everything) {
    included = {};
    return;
  }
  included.all = false;
  const bool listed = std::any_of(included.list.begin(), included.list.end(),
                                  [](const Cidr& cidr) { return is_loopback(cidr); });
  // IPv6's loopback counts for IPv4 too, and nothing else shows it where IPv6 has no rules.
  if (!loopback || listed) return;
  if (ours.canonical && config.ipv6 != Ipv6Policy::never) {
    add_loopback(included.list);
  } else {
    included.list.push_back(parse_cidr("::1/128"));
  }
}

}  // namespace

void read_outbound(const OwnRules& ours, RedirectConfig& config) {
  const Sections parts = split(ours.ipv4, ours.canonical);
  if (parts.localhost) config.ipv4_loopback = *parts.localhost;
  read_exclusions(parts.exclusions, config);
  read_proxies(parts.owners, config);
  read_groups(parts.owners, config);
  for (const Rule& rule : parts.destinations) {
    const auto ports = only_ports(rule, Protocol::tcp);
    if (ports && jumps_to(rule, redirect_chain)) config.include_outbound_ports.push_back(*ports);
  }
  read_destinations(parts, ours.ipv4, ours.canonical, config);
  read_destinations(split(ours.ipv6, ours.canonical), ours.ipv6, ours.canonical, config);
  settle_included(captures_loopback(parts.owners), ours, config);
}

std::uint16_t excluded_from_self_calls(const Ruleset& ipv4) {
  for (const Rule& rule : rules_in(ipv4, Table::nat, output_chain)) {
    if (is_self_call(rule)) return excluded_besides_dns(rule);
  }
  return 0;
}

}  // namespace sluice::recognition

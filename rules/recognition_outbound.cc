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
  Rules destinations;  // behind the host's own
  std::optional<Cidr> localhost = std::nullopt;
};

bool is_passthrough(const Rule& rule, Family family) {
  return rule.source && rule.source->cidr == passthrough_source(family) && rule.out &&
         returns(rule);
}

bool is_own_destination(const Rule& rule) {
  return rule.destination && !rule.destination->negated && !rule.source && !rule.in && !rule.out &&
         !rule.protocol && rule.matches.empty() && returns(rule);
}

Sections split(const Ruleset& ruleset) {
  const std::vector<Rule>& output = rules_in(ruleset, capturing_table(ruleset), output_chain);
  const auto passthrough = std::find_if(output.begin(), output.end(), [&](const Rule& rule) {
    return is_passthrough(rule, ruleset.family);
  });
  Sections parts{.exclusions = {output.begin(), passthrough}, .owners = {}, .destinations = {}};
  if (passthrough == output.end()) return parts;
  const auto own = std::find_if(passthrough, output.end(), is_own_destination);
  parts.owners = {std::next(passthrough), own};
  if (own == output.end()) return parts;
  parts.destinations = {std::next(own), output.end()};
  parts.localhost = own->destination->cidr;
  return parts;
}

// The owner of a rule that has one at the end of its matches.
const Owner* owner_of(const Rule& rule) {
  return rule.matches.empty() ? nullptr : std::get_if<Owner>(&rule.matches.back());
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
    const Owner* owner = owner_of(rule);
    if (owner == nullptr || !jumps_to(rule, inbound_redirect_chain)) continue;
    if (owner->uid) config.proxy_uids.push_back(owner->uid->first);
    if (owner->gid) config.proxy_gids.push_back(owner->gid->first);
  }
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
void read_destinations(Rules rules, Family family, RedirectConfig& config) {
  for (const Rule& rule : rules) {
    if (rule.source || rule.in || rule.out || rule.protocol || !rule.matches.empty()) continue;
    const Cidr cidr = cidr_of(rule.destination, family);
    if (returns(rule)) config.exclude_outbound_cidrs.push_back(cidr);
    if (jumps_to(rule, redirect_chain) || jumps_to(rule, reject_chain)) {
      config.include_outbound_cidrs.list.push_back(cidr);
    }
  }
}

// Turns the list into "*" if it is no more than that.
void settle_included(bool loopback, bool has_ipv6, RedirectConfig& config) {
  Selection<Cidr>& included = config.include_outbound_cidrs;
  std::vector<Cidr> everything{cidr_of(std::nullopt, Family::ipv4)};
  if (has_ipv6) everything.push_back(cidr_of(std::nullopt, Family::ipv6));
  if (!loopback && included.list == everything) {
    included = {};
    return;
  }
  included.all = false;
  const bool listed = std::any_of(included.list.begin(), included.list.end(),
                                  [](const Cidr& cidr) { return is_loopback(cidr); });
  // IPv6's loopback counts for IPv4 too, and nothing else shows it where IPv6 has no rules.
  if (loopback && !listed) included.list.push_back(parse_cidr("::1/128"));
}

// There is a rule for TCP for each resolver, or one for all.
void read_resolvers(const Ruleset& ruleset, RedirectConfig& config) {
  for (const Rule& rule : rules_in(ruleset, capturing_table(ruleset), dns_chain)) {
    if (rule.protocol != Protocol::tcp || std::holds_alternative<Nflog>(rule.target)) continue;
    if (rule.destination) {
      config.resolvers.push_back(rule.destination->cidr.address);
    } else {
      config.dns_capture = DnsCapture::all;
    }
  }
}

std::optional<PortRange> source_ports(const Rule& rule) {
  const Udp* udp = rule.matches.empty() ? nullptr : std::get_if<Udp>(&rule.matches.front());
  if (udp == nullptr || !udp->source) return std::nullopt;
  return udp->source->ports;
}

}  // namespace

void read_outbound(const OwnRules& ours, RedirectConfig& config) {
  const Sections parts = split(ours.ipv4);
  if (parts.localhost) config.ipv4_loopback = *parts.localhost;
  read_exclusions(parts.exclusions, config);
  read_proxies(parts.owners, config);
  read_groups(parts.owners, config);
  for (const Rule& rule : parts.destinations) {
    const auto ports = only_ports(rule, Protocol::tcp);
    if (ports && jumps_to(rule, redirect_chain)) config.include_outbound_ports.push_back(*ports);
  }
  read_destinations(parts.destinations, Family::ipv4, config);
  read_destinations(split(ours.ipv6).destinations, Family::ipv6, config);
  settle_included(captures_loopback(parts.owners), config.ipv6 != Ipv6Policy::never, config);
}

void read_dns(const OwnRules& ours, RedirectConfig& config) {
  const std::vector<Rule>& zones = rules_in(ours.ipv4, Table::raw, dns_chain);
  if (zones.empty()) return;
  config.dns_capture = DnsCapture::resolvers;
  read_resolvers(ours.ipv4, config);
  read_resolvers(ours.ipv6, config);
  if (config.dns_capture == DnsCapture::all) config.resolvers.clear();
  // All of them are of a family that has no rules.
  if (config.dns_capture == DnsCapture::resolvers && config.resolvers.empty()) {
    config.resolvers.push_back(parse_address("::1"));
  }
  const auto answer = std::find_if(zones.begin(), zones.end(),
                                   [](const Rule& rule) { return source_ports(rule).has_value(); });
  if (answer != zones.end()) config.dns_port = source_ports(*answer)->first;
}

}  // namespace sluice::recognition

// SPDX-License-Identifier: GPL-2.0-or-later
// What the pod receives, and its interfaces.
#include <algorithm>
#include <array>

#include "rules/chains.h"
#include "rules/recognition_read.h"

namespace sluice::recognition {
namespace {

// Where ISTIO_INBOUND is that captures.
Table inbound_table(const Ruleset& ruleset, const RedirectConfig& config) {
  const Table table = capturing_table(ruleset);
  const bool tproxy = table == Table::nat && config.mode == InterceptionMode::tproxy;
  return tproxy ? Table::mangle : table;
}

const std::vector<Rule>& inbound_rules(const Ruleset& ruleset, const RedirectConfig& config) {
  return rules_in(ruleset, inbound_table(ruleset, config), inbound_chain);
}

// What leaves the chain by its port, in order.
std::vector<PortRange> returned_ports(const std::vector<Rule>& rules) {
  std::vector<PortRange> all;
  for (const Rule& rule : rules) {
    const auto ports = only_ports(rule, Protocol::tcp);
    if (ports && returns(rule)) all.push_back(*ports);
  }
  return all;
}

template <class Element>
void drop_front(std::vector<Element>& list, std::size_t count) {
  const std::size_t dropped = std::min(count, list.size());
  list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(dropped));
}

// What was asked for where these are the exclusions in all: without those that the layout puts
// before and behind them.
std::vector<PortRange> without_layouts_own(std::vector<PortRange> ports, const Layout& layout) {
  drop_front(ports, layout.leading_inbound_exclusions.size());
  std::vector<std::uint16_t> appended = layout.appended_inbound_exclusions;
  std::reverse(appended.begin(), appended.end());
  for (const std::uint16_t port : appended) {
    const PortRange single{.first = port, .last = port};
    // One that stands twice was asked for, and is not appended again.
    if (!ports.empty() && ports.back() == single &&
        std::count(ports.begin(), ports.end(), single) == 1) {
      ports.pop_back();
    }
  }
  return ports;
}

// `[-s CIDR] -p tcp -j RETURN` and nothing else.
bool returns_by_source(const Rule& rule) {
  return returns(rule) && rule.protocol == Protocol::tcp && rule.matches.empty() &&
         !rule.destination && !rule.in && !rule.out;
}

// In canonical form the tunnel's port is one of the run, unless there are CIDRs in between.
// Excluding it again changes nothing then, and neither do the layout's own.
std::vector<PortRange> canonical_exclusions(const OwnRules& ours, const RedirectConfig& config) {
  const std::vector<Rule>* rules = &inbound_rules(ours.ipv4, config);
  const std::vector<Rule>& ipv6 = inbound_rules(ours.ipv6, config);
  if (std::any_of(ipv6.begin(), ipv6.end(), returns_by_source)) rules = &ipv6;
  const auto last = std::find_if(rules->rbegin(), rules->rend(), returns_by_source);
  return returned_ports({last.base(), rules->end()});
}

void read_inbound_ports(const std::vector<Rule>& rules, RedirectConfig& config) {
  config.include_inbound_ports.all = false;
  for (const Rule& rule : rules) {
    if (!jumps_to(rule, inbound_redirect_chain) && !jumps_to(rule, tproxy_chain)) continue;
    if (const auto ports = only_ports(rule, Protocol::tcp)) {
      config.include_inbound_ports.list.push_back(*ports);
    } else {
      config.include_inbound_ports.all = true;
    }
  }
}

// `-i IF -j RETURN` and nothing else.
bool returns_incoming(const Rule& rule) {
  return returns(rule) && rule.in && !rule.in->negated && !rule.source && !rule.destination &&
         !rule.out && !rule.protocol && rule.matches.empty();
}

std::vector<std::string> returned_interfaces(const std::vector<Rule>& rules) {
  std::vector<std::string> names;
  for (const Rule& rule : rules) {
    if (returns_incoming(rule)) names.push_back(rule.in->name);
  }
  return names;
}

std::vector<std::string> jumping_interfaces(const std::vector<Rule>& rules, const char* chain) {
  std::vector<std::string> names;
  for (const Rule& rule : rules) {
    if (rule.in && jumps_to(rule, chain)) names.push_back(rule.in->name);
  }
  return names;
}

// Virtual interfaces where each rule of Istio's was inserted at the top: first the jumps, one for
// each pair of a destination and an interface, then a rule for each interface, then those of
// excluded ones.
void read_inserted(const OwnRules& ours, RedirectConfig& config) {
  const std::vector<Rule>& prerouting = rules_in(ours.ipv4, Table::nat, "PREROUTING");
  std::vector<std::string> names = returned_interfaces(prerouting);
  const Selection<Cidr>& included = config.include_outbound_cidrs;
  std::size_t destinations =
      included.all ? 1
                   : static_cast<std::size_t>(std::count_if(
                         included.list.begin(), included.list.end(),
                         [](const Cidr& cidr) { return cidr.address.family == Family::ipv4; }));
  if (ours.canonical) destinations = inserted_cidrs(ours.ipv4).value_or(std::vector<Cidr>()).size();
  std::size_t count = names.size() - std::min(names.size(), config.exclude_interfaces.size());
  if (destinations > 0) {
    const std::size_t jumps = jumping_interfaces(prerouting, redirect_chain).size();
    count = std::min(names.size(), jumps / destinations);
  }
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(count);
  config.exclude_interfaces.assign(end, names.end());
  names.erase(end, names.end());
  std::reverse(names.begin(), names.end());
  config.virtual_interfaces = std::move(names);
}

// The same where they are told by what they may do: enter ISTIO_VIRTUAL, or leave ISTIO_INBOUND.
std::vector<std::string> guests_of(const Ruleset& ruleset, const RedirectConfig& config) {
  const Table table = capturing_table(ruleset);
  const char* hook = table == Table::filter ? "INPUT" : "PREROUTING";
  std::vector<std::string> names =
      jumping_interfaces(rules_in(ruleset, table, hook), virtual_chain);
  if (!names.empty()) return names;
  names = returned_interfaces(inbound_rules(ruleset, config));
  if (table == Table::filter) {
    // There the excluded ones come first, and lo last.
    drop_front(names, config.exclude_interfaces.size());
    if (!names.empty()) names.pop_back();
  }
  return names;
}

}  // namespace

std::optional<std::vector<Cidr>> inserted_cidrs(const Ruleset& ruleset) {
  std::vector<Cidr> cidrs;
  const std::string* first = nullptr;
  for (const Rule& rule : rules_in(ruleset, Table::nat, "PREROUTING")) {
    if (!rule.in || !jumps_to(rule, redirect_chain)) continue;
    if (first == nullptr) first = &rule.in->name;
    if (rule.in->name == *first) cidrs.push_back(cidr_of(rule.destination, ruleset.family));
  }
  if (first == nullptr) return std::nullopt;
  std::reverse(cidrs.begin(), cidrs.end());
  return cidrs;
}

void read_inbound(const OwnRules& ours, RedirectConfig& config) {
  const Layout& layout = *config.layout;
  const std::vector<Rule>& rules = inbound_rules(ours.ipv4, config);
  read_inbound_ports(rules, config);
  if (layout.tunnel_port) {
    config.inbound_tunnel_port = excluded_from_self_calls(ours.ipv4);
  }
  std::vector<PortRange> excluded = returned_ports(rules);
  const bool tproxy = config.mode == InterceptionMode::tproxy;
  if (tproxy ? layout.tunnel_port_in_tproxy : layout.tunnel_port) drop_front(excluded, 1);
  if (config.include_inbound_ports.all) {
    config.exclude_inbound_ports = ours.canonical
                                       ? canonical_exclusions(ours, config)
                                       : without_layouts_own(std::move(excluded), layout);
  }
  for (const Ruleset* ruleset : {&ours.ipv4, &ours.ipv6}) {
    for (const Rule& rule : inbound_rules(*ruleset, config)) {
      if (!returns_by_source(rule)) continue;
      config.exclude_inbound_cidrs.push_back(cidr_of(rule.source, ruleset->family));
    }
  }
}

void read_interfaces(const OwnRules& ours, RedirectConfig& config) {
  for (const Rule& rule : rules_in(ours.ipv4, Table::nat, "OUTPUT")) {
    if (rule.out && returns(rule)) config.exclude_interfaces.push_back(rule.out->name);
  }
  if (!config.layout->virtual_interfaces_in_full) {
    return read_inserted(ours, config);
  }
  config.virtual_interfaces = guests_of(ours.ipv4, config);
  if (config.virtual_interfaces.empty()) config.virtual_interfaces = guests_of(ours.ipv6, config);
}

}  // namespace sluice::recognition

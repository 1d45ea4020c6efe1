// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/policy/policy.h"

#include <algorithm>
#include <cassert>
#include <set>
#include <utility>

namespace sluice::policy {
namespace {

// A report costs little, but a tenant decides how many connections there are.
constexpr Limit log_limit{.period = 1000, .burst = 20};  // 10/sec

std::vector<std::string> with_builtin(Table table, std::initializer_list<const char*> own_chains) {
  std::vector<std::string> names = builtin_chains(table);
  names.insert(names.end(), own_chains.begin(), own_chains.end());
  return names;
}

std::vector<PortRange> to_ranges(const std::vector<std::uint16_t>& ports) {
  std::vector<PortRange> ranges;
  ranges.reserve(ports.size());
  for (const std::uint16_t port : ports) ranges.push_back(single(port));
  return ranges;
}

std::vector<PortRange> outbound_exclusions(const Source& source) {
  return source.config.exclude_outbound_ports.value_or(
      to_ranges(source.layout.default_outbound_exclusions));
}

}  // namespace

TableBuilder::TableBuilder(Table table, const std::vector<std::string>& chains) {
  rules_.table = table;
  for (const std::string& name : chains) {
    const bool builtin = is_builtin_chain(table, name);
    rules_.chains.push_back(
        {.name = name, .policy = builtin ? std::optional(Policy::accept) : std::nullopt});
  }
}

TableBuilder::TableBuilder(Table table, std::initializer_list<const char*> own_chains)
    : TableBuilder(table, with_builtin(table, own_chains)) {}

void TableBuilder::append(const char* chain, Rule rule) {
  Chain* found = find_chain(rules_, chain);
  assert(found != nullptr);
  found->rules.push_back(std::move(rule));
}

bool TableBuilder::has_rules(const char* chain) const {
  const Chain* found = find_chain(rules_, chain);
  assert(found != nullptr);
  return !found->rules.empty();
}

TableRules TableBuilder::build(std::initializer_list<std::string_view> optional) && {
  const auto unused = [&](const Chain& chain) {
    return chain.rules.empty() &&
           std::find(optional.begin(), optional.end(), chain.name) != optional.end();
  };
  auto& chains = rules_.chains;
  chains.erase(std::remove_if(chains.begin(), chains.end(), unused), chains.end());
  return std::move(rules_);
}

bool captures_inbound(const RedirectConfig& config) {
  return config.include_inbound_ports.all || !config.include_inbound_ports.list.empty();
}

std::vector<std::string> guest_interfaces(const Source& source) {
  const auto& list = source.config.exclude_interfaces;
  const std::set<std::string_view> excluded(list.begin(), list.end());
  std::vector<std::string> names;
  for (const std::string& name : source.config.virtual_interfaces) {
    if (!excluded.contains(name)) names.push_back(name);
  }
  return names;
}

bool captures_dns(const RedirectConfig& config) {
  return config.dns_capture == DnsCapture::all ||
         (config.dns_capture == DnsCapture::resolvers && !config.resolvers.empty());
}

bool captures_dns(const Source& source) {
  return !resolver_matches(source).empty();
}

std::vector<std::optional<AddressMatch>> resolver_matches(const Source& source) {
  std::vector<std::optional<AddressMatch>> matches;
  switch (source.config.dns_capture) {
    case DnsCapture::off:
      break;
    case DnsCapture::all:
      matches.emplace_back(std::nullopt);
      break;
    case DnsCapture::resolvers:
      for (const IpAddress& resolver : source.config.resolvers) {
        if (resolver.family != source.family) continue;
        matches.emplace_back(
            AddressMatch{.cidr = make_cidr(resolver, address_bits(source.family))});
      }
  }
  return matches;
}

std::vector<PortRange> inbound_exclusions(const Source& source) {
  const Layout& layout = source.layout;
  std::vector<PortRange> all = to_ranges(layout.leading_inbound_exclusions);
  const std::vector<PortRange> asked =
      source.config.exclude_inbound_ports.value_or(to_ranges(layout.default_inbound_exclusions));
  all.insert(all.end(), asked.begin(), asked.end());
  for (const PortRange ports : to_ranges(layout.appended_inbound_exclusions)) {
    if (std::find(asked.begin(), asked.end(), ports) == asked.end()) all.push_back(ports);
  }
  return all;
}

void append_inbound_ports(TableBuilder& rules, const Source& source,
                          const std::function<void(Rule)>& capture) {
  const RedirectConfig& config = source.config;
  for (const Cidr& cidr : config.exclude_inbound_cidrs) {
    if (cidr.address.family != source.family) continue;
    rules.append(inbound_chain, {.source = address_match(cidr),
                                 .protocol = Protocol::tcp,
                                 .origin = {"excludeInboundCidrs"}});
  }
  for (const PortRange ports : config.include_inbound_ports.list) {
    capture(port_rule(Protocol::tcp, ports, Return{}, {"includeInboundPorts"}));
  }
  if (!config.include_inbound_ports.all) return;
  for (const PortRange ports : inbound_exclusions(source)) {
    rules.append(inbound_chain, port_rule(Protocol::tcp, ports, Return{}, {"excludeInboundPorts"}));
  }
  capture({.protocol = Protocol::tcp, .origin = {"includeInboundPorts: *"}});
}

void append_excluded_interfaces(TableBuilder& rules, const Source& source) {
  for (const std::string& name : source.config.exclude_interfaces) {
    rules.append("PREROUTING", {.in = Interface{.name = name}, .origin = {"excludeInterfaces"}});
    rules.append("OUTPUT", {.out = Interface{.name = name}, .origin = {"excludeInterfaces"}});
  }
}

void append_guest_returns(TableBuilder& rules, const Source& source) {
  for (const std::string& name : guest_interfaces(source)) {
    rules.append(inbound_chain,
                 {.in = Interface{.name = name}, .origin = {"virtualInterfaces: not inbound"}});
  }
}

void append_tunnel_return(TableBuilder& rules, const Source& source) {
  const PortRange tunnel = single(source.config.inbound_tunnel_port);
  rules.append(inbound_chain, port_rule(Protocol::tcp, tunnel, Return{}, {"inboundTunnelPort"}));
}

void append_captured_inbound(TableBuilder& rules, const Source& source, const Interceptor& to) {
  rules.append(to.inbound_hook,
               {.protocol = Protocol::tcp, .target = Jump{inbound_chain}, .origin = {"inbound"}});
  append_inbound_ports(rules, source, [&](Rule rule) {
    rule.target = Jump{to.capture_inbound};
    rules.append(inbound_chain, std::move(rule));
  });
}

bool excludes_outbound_dns(const Source& source) {
  const std::vector<PortRange> excluded = outbound_exclusions(source);
  return std::any_of(excluded.begin(), excluded.end(), [](PortRange ports) {
    return ports.first <= dns_service_port && dns_service_port <= ports.last;
  });
}

void append_excluded_ports(TableBuilder& rules, const Source& source, const char* chain) {
  for (const PortRange ports : outbound_exclusions(source)) {
    for (const Protocol protocol : source.layout.outbound_exclusion_protocols) {
      rules.append(chain, port_rule(protocol, ports, Return{}, {"excludeOutboundPorts"}));
    }
  }
}

Cidr localhost(const Source& source) {
  if (source.family == Family::ipv4) return source.config.ipv4_loopback;
  return make_cidr(parse_address("::1"), address_bits(Family::ipv6));
}

std::optional<AddressMatch> address_match(const Cidr& cidr) {
  if (cidr.length == 0) return std::nullopt;
  return AddressMatch{.cidr = cidr};
}

Match destination_port(Protocol protocol, PortRange ports, bool negated) {
  const PortMatch match{.ports = ports, .negated = negated};
  if (protocol == Protocol::udp) return Udp{.destination = match};
  return Tcp{.destination = match};
}

Rule port_rule(Protocol protocol, PortRange ports, Target target, Origin origin) {
  return {.protocol = protocol,
          .matches = {destination_port(protocol, ports)},
          .target = std::move(target),
          .origin = origin};
}

PortRange single(std::uint16_t port) {
  return {.first = port, .last = port};
}

Owner uid_match(std::uint32_t uid, bool negated) {
  return {.uid = OwnerRange{.first = uid, .last = uid, .negated = negated}};
}

Owner gid_match(std::uint32_t gid, bool negated) {
  return {.gid = OwnerRange{.first = gid, .last = gid, .negated = negated}};
}

std::vector<Owner> proxy_owners(const RedirectConfig& config) {
  std::vector<Owner> owners;
  for (const std::uint32_t uid : config.proxy_uids) owners.push_back(uid_match(uid));
  for (const std::uint32_t gid : config.proxy_gids) owners.push_back(gid_match(gid));
  return owners;
}

void append_self_call_ports(Rule& rule, const Source& source, bool leave_dns) {
  const PortRange dns = single(dns_service_port);
  const PortRange tunnel = single(source.config.inbound_tunnel_port);
  const bool leave_tunnel = source.layout.tunnel_port;
  if (leave_dns && leave_tunnel) {
    rule.matches.emplace_back(Multiport{.destinations = {dns, tunnel}, .negated = true});
  } else if (leave_dns || leave_tunnel) {
    rule.matches.push_back(destination_port(Protocol::tcp, leave_dns ? dns : tunnel, true));
  }
}

void append_log(TableBuilder& rules, const Source& source, const char* chain, Rule rule,
                std::string_view event) {
  if (!source.config.log) return;
  rule.matches.emplace_back(log_limit);
  rule.origin = {"log"};
  rule.target =
      Nflog{.group = nflog_group, .prefix = std::string(nflog_prefix) + std::string(event)};
  rules.append(chain, std::move(rule));
}

}  // namespace sluice::policy

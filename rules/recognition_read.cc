// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/recognition_read.h"

#include <algorithm>
#include <array>
#include <variant>

#include "rules/chains.h"
#include "rules/tproxy_mark.h"

namespace sluice::recognition {
namespace {

Ipv6Policy policy_of(const Ruleset& ipv6) {
  if (find_table(ipv6, Table::nat) != nullptr) return Ipv6Policy::always;
  return find_table(ipv6, Table::filter) != nullptr ? Ipv6Policy::block : Ipv6Policy::never;
}

// 0, which is no port, if the chain redirects nothing.
std::uint16_t redirect_port(const std::vector<Rule>& rules) {
  for (const Rule& rule : rules) {
    if (const Redirect* target = std::get_if<Redirect>(&rule.target)) return target->port;
  }
  return 0;
}

bool has_report(const std::vector<Rule>& rules) {
  return std::any_of(rules.begin(), rules.end(),
                     [](const Rule& rule) { return std::holds_alternative<Nflog>(rule.target); });
}

// In the sidecar's place: what it sends in the client's name passes.
std::optional<std::uint32_t> mark_of_client_calls(const std::vector<Rule>& output) {
  for (const Rule& rule : output) {
    if (!returns(rule) || !rule.out || rule.matches.size() != 1) continue;
    if (const Mark* mark = std::get_if<Mark>(&rule.matches.front())) return mark->value;
  }
  return std::nullopt;
}

void read_mode(const OwnRules& ours, const std::vector<TproxyRoute>& routes,
               RedirectConfig& config) {
  std::optional<std::uint32_t> mark = tproxy_mark(ours.ipv4);
  if (!mark) mark = mark_of_client_calls(rules_in(ours.ipv4, Table::nat, output_chain));
  if (!mark) return;
  config.mode = InterceptionMode::tproxy;
  config.tproxy_mark = *mark;
  const auto route = std::find_if(routes.begin(), routes.end(), [&](const TproxyRoute& r) {
    return r.family == Family::ipv4 && r.mark == *mark;
  });
  if (route != routes.end()) config.tproxy_table = route->table;
}

bool drops_invalid(const Ruleset& ipv4) {
  return !rules_in(ipv4, Table::mangle, drop_chain).empty();
}

// The tunnel's port where no rule names it: any that is not taken.
std::uint16_t free_tunnel_port(const RedirectConfig& config) {
  const std::array taken{config.proxy_port, config.inbound_capture_port, config.dns_port};
  std::uint16_t port = RedirectConfig().inbound_tunnel_port;
  while (std::find(taken.begin(), taken.end(), port) != taken.end()) --port;
  return port;
}

}  // namespace

const std::vector<Rule>& rules_in(const Ruleset& ruleset, Table table, const char* chain) {
  static const std::vector<Rule> none;
  const TableRules* rules = find_table(ruleset, table);
  const Chain* found = rules == nullptr ? nullptr : find_chain(*rules, chain);
  return found == nullptr ? none : found->rules;
}

Table capturing_table(const Ruleset& ruleset) {
  return find_table(ruleset, Table::nat) == nullptr ? Table::filter : Table::nat;
}

bool returns(const Rule& rule) {
  return std::holds_alternative<Return>(rule.target);
}

bool jumps_to(const Rule& rule, const char* chain) {
  const Jump* jump = std::get_if<Jump>(&rule.target);
  return jump != nullptr && jump->chain == chain;
}

bool has_no_path(const Rule& rule) {
  return !rule.source && !rule.destination && !rule.in && !rule.out;
}

std::optional<PortRange> only_ports(const Rule& rule, Protocol protocol) {
  if (!has_no_path(rule) || rule.protocol != protocol || rule.matches.size() != 1) {
    return std::nullopt;
  }
  const Match& match = rule.matches.front();
  std::optional<PortMatch> ports;
  if (const Tcp* tcp = std::get_if<Tcp>(&match)) ports = tcp->destination;
  if (const Udp* udp = std::get_if<Udp>(&match)) ports = udp->destination;
  if (!ports) return std::nullopt;
  return ports->ports;
}

Cidr cidr_of(const std::optional<AddressMatch>& match, Family family) {
  if (match) return match->cidr;
  return {.address = {.family = family, .bytes = {}}, .length = 0};
}

RedirectConfig read_config(const OwnRules& ours, const Layout& layout,
                           const std::vector<TproxyRoute>& routes) {
  const std::vector<Rule>& outbound = rules_in(ours.ipv4, Table::nat, redirect_chain);
  const std::vector<Rule>& inbound = rules_in(ours.ipv4, Table::nat, inbound_redirect_chain);
  RedirectConfig config;
  config.layout = &layout;
  config.ipv6 = policy_of(ours.ipv6);
  config.proxy_port = redirect_port(outbound);
  config.inbound_capture_port = redirect_port(inbound);
  config.log = has_report(outbound);
  config.drop_invalid = drops_invalid(ours.ipv4);
  read_mode(ours, routes, config);
  read_outbound(ours, config);
  read_dns(ours, config);
  config.inbound_tunnel_port = free_tunnel_port(config);
  read_inbound(ours, config);
  read_interfaces(ours, config);
  return config;
}

}  // namespace sluice::recognition

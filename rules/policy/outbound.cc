// SPDX-License-Identifier: GPL-2.0-or-later
// What the pod and its guests send. Istio's order of rules.
#include <algorithm>
#include <utility>

#include "rules/policy/policy.h"

namespace sluice::policy {
namespace {

bool has_loopback(const std::vector<Cidr>& list) {
  return std::any_of(list.begin(), list.end(), [](const Cidr& c) { return is_loopback(c); });
}

// Appends to ISTIO_OUTPUT, in its order.
class Outbound {
 public:
  Outbound(TableBuilder& rules, const Source& source, const Interceptor& to)
      : rules_(rules), source_(source), config_(source.config), to_(to) {}

  void append() {
    // A layout that looks at TCP only must see DNS over UDP all the same.
    const std::optional<Protocol> protocol =
        captures_dns(config_) ? std::nullopt : source_.layout.output_jump_protocol;
    rules_.append("OUTPUT",
                  {.protocol = protocol, .target = Jump{output_chain}, .origin = {"outbound"}});
    if (to_.table == Table::nat) {
      append_log(rules_, source_, "OUTPUT", {.protocol = Protocol::tcp}, "outbound passed");
    }
    append_excluded_ports(rules_, source_, output_chain);
    excluded_uids();
    add({.source = AddressMatch{.cidr = passthrough_source(source_.family)},
         .out = Interface{.name = "lo"},
         .origin = {"passthrough"}});
    if (source_.layout.proxies_together) {
      proxies_together();
    } else {
      proxies_one_by_one();
    }
    owner_groups();
    dns();
    add({.destination = AddressMatch{.cidr = localhost(source_)}, .origin = {"localhost"}});
    append_destinations(rules_, source_, to_, output_chain);
  }

 private:
  void add(Rule rule) { rules_.append(output_chain, std::move(rule)); }

  void excluded_uids() {
    for (const UidExclusion& exclusion : config_.exclude_outbound_for_uids) {
      for (const UidExclusion::Uids uids : exclusion.uids) {
        const Owner owner{.uid = OwnerRange{.first = uids.first, .last = uids.last}};
        if (exclusion.ports.empty()) {
          add({.protocol = exclusion.protocol,
               .matches = {owner},
               .origin = {"excludeOutboundForUids"}});
        }
        for (const PortRange ports : exclusion.ports) {
          Rule rule = port_rule(exclusion.protocol.value_or(Protocol::tcp), ports, Return{},
                                {"excludeOutboundForUids"});
          rule.matches.emplace_back(owner);
          add(std::move(rule));
        }
      }
    }
  }

  // Three rules for each UID and GID of the sidecar: what it sends to the pod itself comes in
  // again, what others send over lo stays as it is, what it sends elsewhere goes out. The second
  // one decides for all that follow: of a second UID, and of every GID, nothing on lo is seen.
  void proxies_one_by_one() {
    for (const std::uint32_t uid : config_.proxy_uids) {
      self_call(uid_match(uid), captures_dns(config_));
      if (!captures_loopback()) add(over_loopback(uid_match(uid, true)));
      add({.matches = {uid_match(uid)}, .origin = {"proxyUid"}});
    }
    for (const std::uint32_t gid : config_.proxy_gids) {
      self_call(gid_match(gid), false);
      if (!captures_loopback()) add(over_loopback(gid_match(gid, true)));
      add({.matches = {gid_match(gid)}, .origin = {"proxyGid"}});
    }
  }

  // The same, but what nobody of the sidecar sends over lo is told at the end, by what is left.
  void proxies_together() {
    const std::vector<Owner> owners = proxy_owners(config_);
    if (config_.mode == InterceptionMode::tproxy && to_.table == Table::nat) client_calls();
    for (const Owner& owner : owners) self_call(owner, captures_dns(config_));
    for (const Owner& owner : owners) {
      add({.matches = {owner}, .origin = {owner.uid ? "proxyUid" : "proxyGid"}});
    }
    if (!captures_loopback()) add(over_loopback(std::nullopt));
  }

  // The sidecar connects to the application in the client's name: that must not come in again.
  void client_calls() {
    add({.out = Interface{.name = "lo"},
         .protocol = Protocol::tcp,
         .matches = {Mark{.value = config_.tproxy_mark}},
         .origin = {"tproxyMark: calls in a client's name"}});
  }

  void self_call(const Owner& owner, bool leave_dns) {
    // Where a family is blocked the sidecar's own traffic to the pod reaches it: nothing leaks.
    if (to_.table != Table::nat) return;
    Rule rule{.destination = AddressMatch{.cidr = localhost(source_), .negated = true},
              .out = Interface{.name = "lo"},
              .protocol = Protocol::tcp,
              .target = Jump{to_.capture_inbound},
              .origin = {owner.uid ? "proxyUid: calls to itself" : "proxyGid: calls to itself"}};
    append_self_call_ports(rule, source_, leave_dns);
    if (rule.matches.empty()) rule.protocol = std::nullopt;
    rule.matches.emplace_back(owner);
    add(std::move(rule));
  }

  // DNS over lo is not left alone where it is captured: the resolver may be a local one.
  Rule over_loopback(std::optional<Owner> owner) const {
    Rule rule{.out = Interface{.name = "lo"}, .origin = {"lo: not outbound"}};
    if (captures_dns(config_)) {
      rule.protocol = Protocol::tcp;
      rule.matches.push_back(destination_port(Protocol::tcp, single(dns_service_port), true));
    }
    if (owner) rule.matches.emplace_back(*owner);
    return rule;
  }

  bool captures_loopback() const { return has_loopback(config_.include_outbound_cidrs.list); }

  void owner_groups() {
    if (!config_.include_owner_groups.all) {
      Rule rule{.origin = {"includeOwnerGroups"}};
      for (const std::uint32_t gid : config_.include_owner_groups.list) {
        rule.matches.emplace_back(gid_match(gid, true));
      }
      return add(std::move(rule));
    }
    for (const std::uint32_t gid : config_.exclude_owner_groups) {
      add({.matches = {gid_match(gid)}, .origin = {"excludeOwnerGroups"}});
    }
  }

  void dns() {
    if (!captures_dns(source_)) return;
    add({.target = Jump{dns_chain}, .origin = {"dnsCapture"}});
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
      for (const std::optional<AddressMatch>& resolver : resolver_matches(source_)) {
        Rule rule = port_rule(protocol, single(dns_service_port), dns_target(protocol),
                              {resolver ? "dnsResolvers" : "dnsCapture"});
        rule.destination = resolver;
        if (to_.table == Table::nat) {
          append_log(rules_, source_, dns_chain, rule, "DNS redirected");
        }
        rules_.append(dns_chain, std::move(rule));
      }
    }
  }

  Target dns_target(Protocol protocol) const {
    if (to_.table == Table::nat) return Redirect{config_.dns_port};
    if (protocol == Protocol::tcp) return Jump{to_.capture_outbound};
    return RejectWithPortUnreachable{source_.family};
  }

  TableBuilder& rules_;
  const Source& source_;
  const RedirectConfig& config_;
  const Interceptor& to_;
};

}  // namespace

void append_outbound(TableBuilder& rules, const Source& source, const Interceptor& to) {
  Outbound(rules, source, to).append();
}

void append_destinations(TableBuilder& rules, const Source& source, const Interceptor& to,
                         const char* chain) {
  const RedirectConfig& config = source.config;
  for (const Cidr& cidr : config.exclude_outbound_cidrs) {
    if (cidr.address.family != source.family) continue;
    rules.append(chain, {.destination = address_match(cidr), .origin = {"excludeOutboundCidrs"}});
  }
  for (const PortRange ports : config.include_outbound_ports) {
    rules.append(chain, port_rule(Protocol::tcp, ports, Jump{to.capture_outbound},
                                  {"includeOutboundPorts"}));
  }
  if (config.include_outbound_cidrs.all) {
    rules.append(chain,
                 {.target = Jump{to.capture_outbound}, .origin = {"includeOutboundCidrs: *"}});
  }
  for (const Cidr& cidr : config.include_outbound_cidrs.list) {
    if (cidr.address.family != source.family) continue;
    rules.append(chain, {.destination = address_match(cidr),
                         .target = Jump{to.capture_outbound},
                         .origin = {"includeOutboundCidrs"}});
  }
}

void append_virtual(TableBuilder& rules, const Source& source, const Interceptor& to) {
  const std::vector<std::string> names = guest_interfaces(source);
  if (names.empty()) return;
  append_excluded_ports(rules, source, virtual_chain);
  if (captures_dns(source)) {
    rules.append(virtual_chain, {.target = Jump{dns_chain}, .origin = {"dnsCapture"}});
  }
  append_destinations(rules, source, to, virtual_chain);
  // Where a family has nothing to capture there is no chain to jump to.
  if (!rules.has_rules(virtual_chain)) return;
  for (const std::string& name : names) {
    const Rule rule{.in = Interface{.name = name},
                    .target = Jump{virtual_chain},
                    .origin = {"virtualInterfaces"}};
    rules.append(to.inbound_hook, rule);
    // filter sees what a guest sends to the pod at INPUT, what it sends elsewhere at FORWARD.
    if (to.table == Table::filter) {
      rules.append("FORWARD", rule);
    }
  }
}

}  // namespace sluice::policy

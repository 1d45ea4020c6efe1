// SPDX-License-Identifier: GPL-2.0-or-later
// raw: DNS over UDP is tracked in two zones, so that a query of the application and one of the
// sidecar from the same port to the same resolver are two connections: the sidecar's with the
// resolvers in one zone, the application's with the sidecar in another. Istio's order of rules.
#include <utility>

#include "rules/policy/policy.h"

namespace sluice::policy {
namespace {

constexpr CtZone upstream_zone{1};
constexpr CtZone application_zone{2};

Rule udp_to(std::uint16_t port, CtZone zone) {
  return port_rule(Protocol::udp, single(port), zone, {"dnsCapture: zones"});
}

Rule udp_from(std::uint16_t port, CtZone zone) {
  return {.protocol = Protocol::udp,
          .matches = {Udp{.source = PortMatch{.ports = single(port)}}},
          .target = zone,
          .origin = {"dnsCapture: zones"}};
}

void append_guests(TableBuilder& rules, const std::vector<std::string>& guests,
                   const std::optional<AddressMatch>& resolver) {
  for (const std::string& name : guests) {
    Rule query = udp_to(dns_service_port, application_zone);
    query.in = Interface{.name = name};
    query.destination = resolver;
    rules.append(inbound_chain, std::move(query));
  }
}

}  // namespace

TableRules raw_table(const Source& source) {
  TableBuilder rules(Table::raw, {inbound_chain, dns_chain});
  const RedirectConfig& config = source.config;
  if (captures_dns(config)) {
    rules.append("OUTPUT", {.target = Jump{dns_chain}, .origin = {"dnsCapture: zones"}});
    for (const Owner& owner : proxy_owners(config)) {
      Rule query = udp_to(dns_service_port, upstream_zone);
      query.matches.emplace_back(owner);
      rules.append(dns_chain, std::move(query));
      Rule answer = udp_from(config.dns_port, application_zone);
      answer.matches.emplace_back(owner);
      rules.append(dns_chain, std::move(answer));
    }
  }
  // Not where DNS is an excluded port: an answer to a guest may have to be translated back, for
  // which it must be tracked where the query is.
  const bool has_guests =
      source.layout.virtual_interfaces_in_full && !excludes_outbound_dns(source);
  const std::vector<std::string> guests =
      has_guests ? guest_interfaces(source) : std::vector<std::string>();
  if (captures_dns(source)) {
    rules.append("PREROUTING", {.target = Jump{inbound_chain}, .origin = {"dnsCapture: zones"}});
  }
  for (const std::optional<AddressMatch>& resolver : resolver_matches(source)) {
    Rule query = udp_to(dns_service_port, application_zone);
    query.destination = resolver;
    rules.append(dns_chain, std::move(query));
    Rule answer = udp_from(dns_service_port, upstream_zone);
    answer.source = resolver;
    rules.append(inbound_chain, std::move(answer));
    append_guests(rules, guests, resolver);
  }
  return std::move(rules).build({inbound_chain, dns_chain});
}

}  // namespace sluice::policy

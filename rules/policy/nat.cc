// SPDX-License-Identifier: GPL-2.0-or-later
// nat: connections are redirected to the sidecar. Istio's order of rules, chain by chain.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rules/policy/policy.h"

namespace sluice::policy {
namespace {

constexpr Interceptor redirecting{.table = Table::nat,
                                  .inbound_hook = "PREROUTING",
                                  .capture_inbound = inbound_redirect_chain,
                                  .capture_outbound = redirect_chain};

// What guests send, as Istio has it: each rule is inserted at the top, so the last one stands
// first, and nothing but the destination counts.
void insert_virtual(TableBuilder& rules, const Source& source) {
  const auto& interfaces = source.config.virtual_interfaces;
  const Selection<Cidr>& included = source.config.include_outbound_cidrs;
  const std::vector<std::string> names(interfaces.rbegin(), interfaces.rend());
  const std::vector<Cidr> cidrs(included.list.rbegin(), included.list.rend());
  const auto redirect = [&](const std::optional<AddressMatch>& destination) {
    for (const std::string& name : names) {
      rules.append("PREROUTING", {.destination = destination,
                                  .in = Interface{.name = name},
                                  .target = Jump{redirect_chain},
                                  .origin = {"virtualInterfaces"}});
    }
  };
  for (const Cidr& cidr : cidrs) {
    if (cidr.address.family == source.family) redirect(address_match(cidr));
  }
  if (included.all) redirect(std::nullopt);
  for (const std::string& name : names) {
    rules.append("PREROUTING",
                 {.in = Interface{.name = name}, .origin = {"virtualInterfaces: not inbound"}});
  }
}

void append_redirect(TableBuilder& rules, const Source& source, const char* chain,
                     std::uint16_t port, std::string_view event, Origin origin) {
  Rule rule{.protocol = Protocol::tcp, .target = Redirect{port}, .origin = origin};
  append_log(rules, source, chain, rule, event);
  rules.append(chain, std::move(rule));
}

// In mode TPROXY mangle intercepts what comes in; Istio leaves ISTIO_INBOUND here, unused.
void append_nat_inbound(TableBuilder& rules, const Source& source) {
  const bool intercepts = source.config.mode == InterceptionMode::redirect;
  if (source.layout.virtual_interfaces_in_full && intercepts) append_guest_returns(rules, source);
  if (source.layout.tunnel_port) append_tunnel_return(rules, source);
  if (!intercepts || !captures_inbound(source.config)) return;
  append_captured_inbound(rules, source, redirecting);
  append_log(rules, source, "PREROUTING", {.protocol = Protocol::tcp}, "inbound passed");
}

}  // namespace

TableRules nat_table(const Source& source) {
  TableBuilder rules(Table::nat, source.layout.nat_chains);
  if (!source.layout.virtual_interfaces_in_full) insert_virtual(rules, source);
  append_excluded_interfaces(rules, source);
  if (source.layout.virtual_interfaces_in_full) append_virtual(rules, source, redirecting);
  append_redirect(rules, source, redirect_chain, source.config.proxy_port, "outbound redirected",
                  {"proxyPort"});
  append_redirect(rules, source, inbound_redirect_chain, source.config.inbound_capture_port,
                  "inbound redirected", {"inboundCapturePort"});
  append_nat_inbound(rules, source);
  append_outbound(rules, source, redirecting);
  return std::move(rules).build({dns_chain, virtual_chain});
}

}  // namespace sluice::policy

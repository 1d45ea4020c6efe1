// SPDX-License-Identifier: GPL-2.0-or-later
// filter: what nat would redirect is refused, where a family is blocked.
#include <utility>

#include "rules/policy/policy.h"

namespace sluice::policy {
namespace {

constexpr Interceptor blocking{.table = Table::filter,
                               .inbound_hook = "INPUT",
                               .capture_inbound = reject_chain,
                               .capture_outbound = reject_chain};

constexpr std::uint8_t tcp_fin = 1;
constexpr std::uint8_t tcp_syn = 2;
constexpr std::uint8_t tcp_rst = 4;
constexpr std::uint8_t tcp_ack = 16;

// filter sees every packet of a connection, nat only the first: reset what opens one, and let
// replies to what was excluded pass.
void append_reject(TableBuilder& rules, const Source& source) {
  const TcpFlags opening{.mask = tcp_fin | tcp_syn | tcp_rst | tcp_ack, .compare = tcp_syn};
  Rule rule{.protocol = Protocol::tcp,
            .matches = {Tcp{.flags = opening}},
            .target = RejectWithTcpReset{},
            .origin = {"ipv6: block"}};
  append_log(rules, source, reject_chain, rule, "blocked");
  rules.append(reject_chain, std::move(rule));
}

void append_filter_inbound(TableBuilder& rules, const Source& source) {
  const RedirectConfig& config = source.config;
  // Not from the built-in chains, as nat does: that would step over foreign rules behind ours.
  for (const std::string& name : config.exclude_interfaces) {
    rules.append(inbound_chain, {.in = Interface{.name = name}, .origin = {"excludeInterfaces"}});
  }
  append_guest_returns(rules, source);
  // nat's PREROUTING does not see traffic that stays on lo, filter's INPUT does.
  rules.append(inbound_chain, {.in = Interface{.name = "lo"}, .origin = {"lo: not inbound"}});
  if (source.layout.tunnel_port) append_tunnel_return(rules, source);
  if (captures_inbound(config)) append_captured_inbound(rules, source, blocking);
}

}  // namespace

TableRules filter_table(const Source& source) {
  TableBuilder rules(Table::filter,
                     {inbound_chain, output_chain, dns_chain, reject_chain, virtual_chain});
  for (const std::string& name : source.config.exclude_interfaces) {
    rules.append(output_chain, {.out = Interface{.name = name}, .origin = {"excludeInterfaces"}});
  }
  append_virtual(rules, source, blocking);
  append_reject(rules, source);
  append_filter_inbound(rules, source);
  append_outbound(rules, source, blocking);
  return std::move(rules).build({dns_chain, virtual_chain});
}

}  // namespace sluice::policy

// SPDX-License-Identifier: GPL-2.0-or-later
// The tables of one family, each built by one function. Part of the implementation of redirect.h.
//
// Order in time of what a packet meets: raw (conntrack zones of DNS), mangle (dropping invalid
// packets, TPROXY), nat (redirection), filter (blocking instead of redirection).
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/chains.h"
#include "rules/layout.h"
#include "rules/redirect.h"
#include "rules/rule.h"

namespace sluice::policy {

inline constexpr std::uint16_t dns_service_port = 53;

// What the rules are made from.
struct Source {
  const RedirectConfig& config;
  const Layout& layout;
  Family family;
};

// Collects the rules of one table. Chains are declared first; their order is the text's.
class TableBuilder {
 public:
  // Built-in chains get the policy ACCEPT.
  TableBuilder(Table table, const std::vector<std::string>& chains);
  // The built-in chains and these.
  TableBuilder(Table table, std::initializer_list<const char*> own_chains);

  Table table() const { return rules_.table; }
  // `chain` must be declared, here and below.
  void append(const char* chain, Rule rule);
  bool has_rules(const char* chain) const;
  // Leaves out the chains of `optional` that got no rule.
  TableRules build(std::initializer_list<std::string_view> optional) &&;

 private:
  TableRules rules_;
};

// ---- nat, or filter where a family is blocked

TableRules nat_table(const Source& source);
TableRules filter_table(const Source& source);

// Which table intercepts, at which hook inbound traffic passes, and where captured traffic goes.
// Redirection and blocking follow the same decisions and differ only in this.
struct Interceptor {
  Table table;
  const char* inbound_hook;
  const char* capture_inbound;
  const char* capture_outbound;
};

// What enters ISTIO_INBOUND: excluded sources and ports leave it, `capture` appends what becomes of
// the others, given the match.
void append_inbound_ports(TableBuilder& rules, const Source& source,
                          const std::function<void(Rule)>& capture);
// In nat and mangle: what comes in or goes out over an excluded interface leaves the built-in
// chain. Istio does so, also for what the rules of virtual interfaces would capture.
void append_excluded_interfaces(TableBuilder& rules, const Source& source);
// What a guest sends leaves ISTIO_INBOUND: it is not inbound.
void append_guest_returns(TableBuilder& rules, const Source& source);
// So does what comes in to the tunnel port.
void append_tunnel_return(TableBuilder& rules, const Source& source);
// The hook's jump to ISTIO_INBOUND, and there what is captured.
void append_captured_inbound(TableBuilder& rules, const Source& source, const Interceptor& to);
// What the pod sends: ISTIO_OUTPUT, ISTIO_OUTPUT_DNS and the rules that lead there.
void append_outbound(TableBuilder& rules, const Source& source, const Interceptor& to);
// What a guest of the pod sends, in the layouts that treat it as outbound traffic in full.
void append_virtual(TableBuilder& rules, const Source& source, const Interceptor& to);
// Where outbound traffic goes by its destination, the end of ISTIO_OUTPUT and ISTIO_VIRTUAL.
void append_destinations(TableBuilder& rules, const Source& source, const Interceptor& to,
                         const char* chain);
// TCP and UDP to the excluded outbound ports leaves `chain`.
void append_excluded_ports(TableBuilder& rules, const Source& source, const char* chain);
// Whether port 53 is among them.
bool excludes_outbound_dns(const Source& source);

// ---- the other tables; without rules where nothing asks for them

TableRules mangle_table(const Source& source);
TableRules raw_table(const Source& source);

// ---- shared

bool captures_inbound(const RedirectConfig& config);
// The virtual interfaces that are not excluded.
std::vector<std::string> guest_interfaces(const Source& source);
bool captures_dns(const RedirectConfig& config);
// Whether DNS of this family goes to the sidecar: all of it, or that to a resolver of the family.
bool captures_dns(const Source& source);
// The destinations whose DNS is captured; one that matches everything for DnsCapture::all.
std::vector<std::optional<AddressMatch>> resolver_matches(const Source& source);
// What is not captured inbound where all ports are, the layout's own ports included.
std::vector<PortRange> inbound_exclusions(const Source& source);

// "localhost" as the rules of this family mean it.
Cidr localhost(const Source& source);
// Nothing for a prefix of length 0: it matches every packet, and the kernel has no other form.
std::optional<AddressMatch> address_match(const Cidr& cidr);
Match destination_port(Protocol protocol, PortRange ports, bool negated = false);
Rule port_rule(Protocol protocol, PortRange ports, Target target, Origin origin);
PortRange single(std::uint16_t port);
Owner uid_match(std::uint32_t uid, bool negated = false);
Owner gid_match(std::uint32_t gid, bool negated = false);
// One match for each UID, then one for each GID of the sidecar.
std::vector<Owner> proxy_owners(const RedirectConfig& config);

// Narrows a self-call to the ports that come in through the inbound listener: not the tunnel's and,
// with `leave_dns`, not DNS. Adds no match if that is all of them.
void append_self_call_ports(Rule& rule, const Source& source, bool leave_dns);

// Where RedirectConfig::log asks for it: reports what `rule` matches, before `rule` in `chain`.
void append_log(TableBuilder& rules, const Source& source, const char* chain, Rule rule,
                std::string_view event);

}  // namespace sluice::policy

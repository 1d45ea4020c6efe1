// SPDX-License-Identifier: GPL-2.0-or-later
// mangle: invalid packets are dropped, and in mode TPROXY inbound connections are handed to the
// sidecar without a change to their addresses. Istio's order of rules.
//
// The marks: tproxy_mark is on packets that policy routing delivers to this host (the sidecar's
// connections in the client's name and what TPROXY caught), outbound_mark on the sidecar's own
// calls into the pod, which are to come in through its inbound listener.
#include <utility>

#include "rules/policy/policy.h"

namespace sluice::policy {
namespace {

constexpr const char* hook_in = "PREROUTING";
constexpr const char* hook_out = "OUTPUT";

void append_drop_invalid(TableBuilder& rules, const Source& source) {
  const Rule invalid{.matches = {Conntrack{.states = Conntrack::invalid}},
                     .target = Jump{drop_chain},
                     .origin = {"dropInvalid"}};
  rules.append(hook_in, invalid);
  append_log(rules, source, drop_chain, {}, "invalid dropped");
  rules.append(drop_chain, {.target = Drop{}, .origin = {"dropInvalid"}});
}

class TproxyRules {
 public:
  TproxyRules(TableBuilder& rules, const Source& source)
      : rules_(rules), source_(source), config_(source.config) {}

  void append() {
    const Mark marked{.value = config_.tproxy_mark};
    if (captures_inbound(config_)) {
      rules_.append(
          hook_in,
          {.protocol = Protocol::tcp, .target = Jump{inbound_chain}, .origin = {"inbound"}});
    }
    // The sidecar connects to the application in the client's name and marks those packets.
    rules_.append(hook_in, {.protocol = Protocol::tcp,
                            .matches = {marked},
                            .target = SaveMark{},
                            .origin = {"tproxyMark: calls in a client's name"}});
    // What stays on lo has been reported on its way out.
    append_log(rules_, source_, hook_in,
               {.in = Interface{.name = "lo", .negated = true},
                .protocol = Protocol::tcp,
                .matches = {Conntrack{.states = Conntrack::new_connection}}},
               "inbound passed");
    inbound(marked);
    if (captures_inbound(config_)) capture_chains();
    output(marked);
  }

 private:
  void inbound(const Mark& marked) {
    const Interface lo{.name = "lo"};
    add_inbound({.protocol = Protocol::tcp,
                 .matches = {marked},
                 .origin = {"tproxyMark: calls in a client's name"}});
    add_inbound({.source = AddressMatch{.cidr = passthrough_source(source_.family)},
                 .in = lo,
                 .protocol = Protocol::tcp,
                 .origin = {"passthrough"}});
    add_inbound({.in = lo,
                 .protocol = Protocol::tcp,
                 .matches = {Mark{.value = outbound_mark, .negated = true}},
                 .origin = {"lo: not inbound"}});
    if (source_.layout.virtual_interfaces_in_full) {
      // What answers is not inbound, and what answers a guest is not even for this host.
      add_inbound({.protocol = Protocol::tcp,
                   .matches = {Conntrack{.direction = Conntrack::Direction::reply}},
                   .origin = {"replies: not inbound"}});
      append_guest_returns(rules_, source_);
    }
    if (source_.layout.tunnel_port_in_tproxy) append_tunnel_return(rules_, source_);
    append_inbound_ports(rules_, source_, [this](Rule rule) {
      Rule established = rule;
      established.matches.emplace_back(
          Conntrack{.states = Conntrack::related | Conntrack::established});
      established.target = Jump{divert_chain};
      add_inbound(std::move(established));
      rule.target = Jump{tproxy_chain};
      add_inbound(std::move(rule));
    });
  }

  void capture_chains() {
    rules_.append(divert_chain,
                  {.target = SetMark{.value = config_.tproxy_mark}, .origin = {"tproxyMark"}});
    rules_.append(divert_chain, {.target = Accept{}, .origin = {"tproxyMark"}});
    Rule rule{.destination = AddressMatch{.cidr = localhost(source_), .negated = true},
              .protocol = Protocol::tcp,
              .target = Tproxy{.address = {.family = source_.family, .bytes = {}},
                               .port = config_.inbound_capture_port,
                               .mark = config_.tproxy_mark},
              .origin = {"inboundCapturePort"}};
    append_log(rules_, source_, tproxy_chain, rule, "inbound redirected");
    rules_.append(tproxy_chain, std::move(rule));
  }

  // No jump marks these as ours: ownership.cc knows the run.
  void output(const Mark& marked) {
    const Interface lo{.name = "lo"};
    rules_.append(hook_out, {.out = lo,
                             .protocol = Protocol::tcp,
                             .matches = {marked},
                             .origin = {"tproxyMark: calls in a client's name"}});
    for (const Owner& owner : proxy_owners(config_)) {
      Rule self_call{.destination = AddressMatch{.cidr = localhost(source_), .negated = true},
                     .out = lo,
                     .protocol = Protocol::tcp,
                     .target = SetMark{.value = outbound_mark},
                     .origin = {"proxyUid, proxyGid: calls to itself"}};
      if (source_.layout.proxies_together) {
        append_self_call_ports(self_call, source_, captures_dns(config_));
      }
      self_call.matches.emplace_back(owner);
      rules_.append(hook_out, std::move(self_call));
    }
    rules_.append(hook_out, {.protocol = Protocol::tcp,
                             .matches = {Connmark{.value = config_.tproxy_mark}},
                             .target = RestoreMark{},
                             .origin = {"tproxyMark: answers to a client"}});
  }

  void add_inbound(Rule rule) { rules_.append(inbound_chain, std::move(rule)); }

  TableBuilder& rules_;
  const Source& source_;
  const RedirectConfig& config_;
};

}  // namespace

TableRules mangle_table(const Source& source) {
  TableBuilder rules(Table::mangle, {divert_chain, drop_chain, inbound_chain, tproxy_chain});
  const RedirectConfig& config = source.config;
  // Without inbound ports Istio still writes the rules around a TPROXY that is not there.
  const bool tproxy = config.mode == InterceptionMode::tproxy &&
                      (captures_inbound(config) || !source.layout.tproxy_only_if_needed);
  if (tproxy) append_excluded_interfaces(rules, source);
  if (config.drop_invalid) append_drop_invalid(rules, source);
  if (tproxy) TproxyRules(rules, source).append();
  return std::move(rules).build({divert_chain, drop_chain, inbound_chain, tproxy_chain});
}

}  // namespace sluice::policy

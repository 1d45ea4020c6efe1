// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/redirect.h"

#include <algorithm>
#include <utility>

#include "rules/layout.h"

namespace sluice {
namespace {

constexpr const char* inbound_chain = "ISTIO_INBOUND";
constexpr const char* inbound_redirect_chain = "ISTIO_IN_REDIRECT";
constexpr const char* output_chain = "ISTIO_OUTPUT";
constexpr const char* redirect_chain = "ISTIO_REDIRECT";
constexpr const char* reject_chain = "ISTIO_REJECT";

constexpr std::uint8_t tcp_fin = 1;
constexpr std::uint8_t tcp_syn = 2;
constexpr std::uint8_t tcp_rst = 4;
constexpr std::uint8_t tcp_ack = 16;

// Which table intercepts, at which hook inbound traffic passes, and where captured traffic goes.
// Redirection and blocking follow the same decisions and differ only in this.
struct Interceptor {
  Table table;
  const char* inbound_hook;
  const char* capture_inbound;
  const char* capture_outbound;
};

constexpr Interceptor redirecting{.table = Table::nat,
                                  .inbound_hook = "PREROUTING",
                                  .capture_inbound = inbound_redirect_chain,
                                  .capture_outbound = redirect_chain};
constexpr Interceptor blocking{.table = Table::filter,
                               .inbound_hook = "INPUT",
                               .capture_inbound = reject_chain,
                               .capture_outbound = reject_chain};

Cidr host_cidr(const char* address) {
  const IpAddress parsed = parse_address(address);
  return make_cidr(parsed, address_bits(parsed.family));
}

Cidr localhost(Family family) {
  return host_cidr(family == Family::ipv4 ? "127.0.0.1" : "::1");
}

// A prefix of length 0 matches every packet, and the kernel has no other form for that.
std::optional<AddressMatch> destination(const Cidr& cidr) {
  if (cidr.length == 0) return std::nullopt;
  return AddressMatch{.cidr = cidr};
}

Match destination_port(Protocol protocol, PortRange ports) {
  const PortMatch match{.ports = ports};
  if (protocol == Protocol::udp) return Udp{.destination = match};
  return Tcp{.destination = match};
}

Rule port_rule(Protocol protocol, PortRange ports, Target target) {
  return {.protocol = protocol,
          .matches = {destination_port(protocol, ports)},
          .target = std::move(target)};
}

std::vector<PortRange> to_ranges(const std::vector<std::uint16_t>& ports) {
  std::vector<PortRange> ranges;
  ranges.reserve(ports.size());
  for (const std::uint16_t port : ports) ranges.push_back({.first = port, .last = port});
  return ranges;
}

// Builds the chains of one family. Each function writes the rules of one chain, in Istio's order.
class Builder {
 public:
  Builder(const RedirectConfig& config, Family family, const Interceptor& interceptor)
      : config_(config), layout_(*config.layout), family_(family), to_(interceptor) {
    declare_chains();
  }

  Ruleset build() && {
    excluded_interfaces();
    capture_chains();
    inbound();
    outbound();
    return {.family = family_, .tables = {std::move(table_)}};
  }

 private:
  void declare_chains() {
    table_.table = to_.table;
    const bool nat = to_.table == Table::nat;
    const std::vector<std::string> own{inbound_chain, output_chain, reject_chain};
    std::vector<std::string> names = nat ? layout_.nat_chains : builtin_chains(to_.table);
    if (!nat) names.insert(names.end(), own.begin(), own.end());
    for (std::string& name : names) {
      const bool builtin = is_builtin_chain(to_.table, name);
      table_.chains.push_back({.name = std::move(name),
                               .policy = builtin ? std::optional(Policy::accept) : std::nullopt});
    }
  }

  void append(const char* chain, Rule rule) {
    find_chain(table_, chain)->rules.push_back(std::move(rule));
  }

  // Istio returns from nat's built-in chains, which is also what keeps virtual interfaces' rules
  // apart. In filter that would step over foreign rules behind ours: return from our own chains.
  void excluded_interfaces() {
    const bool nat = to_.table == Table::nat;
    for (const std::string& name : config_.exclude_interfaces) {
      append(nat ? to_.inbound_hook : inbound_chain, {.in = Interface{.name = name}});
      append(nat ? "OUTPUT" : output_chain, {.out = Interface{.name = name}});
    }
  }

  void capture_chains() {
    if (to_.table == Table::nat) {
      append(redirect_chain, {.protocol = Protocol::tcp, .target = Redirect{config_.proxy_port}});
      append(inbound_redirect_chain,
             {.protocol = Protocol::tcp, .target = Redirect{config_.inbound_capture_port}});
      return;
    }
    // filter sees every packet of a connection, nat only the first: reset what opens one, and
    // let replies to what was excluded pass.
    const TcpFlags opening{.mask = tcp_fin | tcp_syn | tcp_rst | tcp_ack, .compare = tcp_syn};
    append(reject_chain, {.protocol = Protocol::tcp,
                          .matches = {Tcp{.flags = opening}},
                          .target = RejectWithTcpReset{}});
  }

  void inbound() {
    const PortRange tunnel{.first = config_.inbound_tunnel_port,
                           .last = config_.inbound_tunnel_port};
    // nat's PREROUTING does not see traffic that stays on lo, filter's INPUT does.
    if (to_.table == Table::filter) append(inbound_chain, {.in = Interface{.name = "lo"}});
    if (layout_.tunnel_port) {
      append(inbound_chain, port_rule(Protocol::tcp, tunnel, Return{}));
    }
    const Selection<PortRange>& included = config_.include_inbound_ports;
    if (!included.all && included.list.empty()) return;
    append(to_.inbound_hook, {.protocol = Protocol::tcp, .target = Jump{inbound_chain}});
    if (!included.all) {
      for (const PortRange ports : included.list) {
        append(inbound_chain, port_rule(Protocol::tcp, ports, Jump{to_.capture_inbound}));
      }
      return;
    }
    for (const PortRange ports : inbound_exclusions()) {
      append(inbound_chain, port_rule(Protocol::tcp, ports, Return{}));
    }
    append(inbound_chain, {.protocol = Protocol::tcp, .target = Jump{to_.capture_inbound}});
  }

  std::vector<PortRange> inbound_exclusions() const {
    std::vector<PortRange> all = to_ranges(layout_.leading_inbound_exclusions);
    const std::vector<PortRange> asked =
        config_.exclude_inbound_ports.value_or(to_ranges(layout_.default_inbound_exclusions));
    const std::vector<PortRange> appended = to_ranges(layout_.appended_inbound_exclusions);
    all.insert(all.end(), asked.begin(), asked.end());
    for (const PortRange ports : appended) {
      if (std::find(asked.begin(), asked.end(), ports) == asked.end()) all.push_back(ports);
    }
    return all;
  }

  void outbound() {
    append("OUTPUT", {.protocol = layout_.output_jump_protocol, .target = Jump{output_chain}});
    const std::vector<PortRange> excluded =
        config_.exclude_outbound_ports.value_or(to_ranges(layout_.default_outbound_exclusions));
    for (const PortRange ports : excluded) {
      for (const Protocol protocol : layout_.outbound_exclusion_protocols) {
        append(output_chain, port_rule(protocol, ports, Return{}));
      }
    }
    append(output_chain, {.source = AddressMatch{.cidr = passthrough_source(family_)},
                          .out = Interface{.name = "lo"}});
    for (const std::uint32_t uid : config_.proxy_uids) {
      own_traffic([uid](bool negated) {
        return Owner{.uid = OwnerRange{.first = uid, .last = uid, .negated = negated}};
      });
    }
    for (const std::uint32_t gid : config_.proxy_gids) {
      own_traffic([gid](bool negated) {
        return Owner{.gid = OwnerRange{.first = gid, .last = gid, .negated = negated}};
      });
    }
    append(output_chain, {.destination = AddressMatch{.cidr = localhost(family_)}});
    outbound_destinations();
  }

  // The three rules for one UID or GID of the sidecar: what it sends to the pod itself comes in
  // again, what others send over lo stays as it is, what it sends elsewhere goes out.
  template <class OwnerMatch>
  void own_traffic(OwnerMatch owner) {
    // The sidecar's own traffic to the pod reaches it whether blocked or not: nothing leaks.
    if (to_.table == Table::nat) self_call(owner(false));
    if (!captures_loopback()) {
      append(output_chain, {.out = Interface{.name = "lo"}, .matches = {owner(true)}});
    }
    append(output_chain, {.matches = {owner(false)}});
  }

  void self_call(const Owner& owner) {
    Rule rule{.destination = AddressMatch{.cidr = localhost(family_), .negated = true},
              .out = Interface{.name = "lo"},
              .target = Jump{to_.capture_inbound}};
    if (layout_.tunnel_port) {
      const PortRange tunnel{.first = config_.inbound_tunnel_port,
                             .last = config_.inbound_tunnel_port};
      rule.protocol = Protocol::tcp;
      rule.matches.emplace_back(Tcp{.destination = PortMatch{.ports = tunnel, .negated = true}});
    }
    rule.matches.emplace_back(owner);
    append(output_chain, std::move(rule));
  }

  bool captures_loopback() const {
    const std::vector<Cidr>& list = config_.include_outbound_cidrs.list;
    return std::any_of(list.begin(), list.end(), [](const Cidr& c) { return is_loopback(c); });
  }

  void outbound_destinations() {
    for (const Cidr& cidr : config_.exclude_outbound_cidrs) {
      if (cidr.address.family != family_) continue;
      append(output_chain, {.destination = destination(cidr)});
    }
    for (const PortRange ports : config_.include_outbound_ports) {
      append(output_chain, port_rule(Protocol::tcp, ports, Jump{to_.capture_outbound}));
    }
    if (config_.include_outbound_cidrs.all) {
      append(output_chain, {.target = Jump{to_.capture_outbound}});
    }
    for (const Cidr& cidr : config_.include_outbound_cidrs.list) {
      if (cidr.address.family != family_) continue;
      append(output_chain,
             {.destination = destination(cidr), .target = Jump{to_.capture_outbound}});
    }
  }

  const RedirectConfig& config_;
  const Layout& layout_;
  Family family_;
  const Interceptor& to_;
  TableRules table_;
};

}  // namespace

Cidr passthrough_source(Family family) {
  return host_cidr(family == Family::ipv4 ? "127.0.0.6" : "::6");
}

Ruleset redirect_ruleset(const RedirectConfig& config, Family family, FamilyAction action) {
  if (config.mode == InterceptionMode::none || action == FamilyAction::none) {
    return {.family = family};
  }
  const Interceptor& to = action == FamilyAction::block ? blocking : redirecting;
  return Builder(config, family, to).build();
}

}  // namespace sluice

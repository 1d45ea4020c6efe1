// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/settings.h"

#include "cni/code.h"
#include "rules/error.h"
#include "rules/parse.h"

namespace sluice::cni {
namespace {

using Text = std::string_view;

constexpr const char* port_help = "ports and ranges such as 80,8000-8100";

Annotations::const_iterator find_annotation(const Setting& setting,
                                            const Annotations& annotations) {
  for (const char* name : {setting.annotation, setting.former_annotation}) {
    if (*name == '\0') continue;
    const auto found = annotations.find(name);
    if (found != annotations.end()) return found;
  }
  return annotations.end();
}

// Whose connections, from where and to where.
std::vector<Setting> captured_traffic() {
  using enum SettingType;
  return {
      {"traffic.sidecar.istio.io/includeInboundPorts", "includeInboundPorts",
       "--include-inbound-ports", "inbound ports to capture: * or ports and ranges", text,
       [](RedirectConfig& c, Text t) { c.include_inbound_ports = parse_port_selection(t); }},
      {"traffic.sidecar.istio.io/excludeInboundPorts", "excludeInboundPorts",
       "--exclude-inbound-ports", port_help, text,
       [](RedirectConfig& c, Text t) { c.exclude_inbound_ports = parse_ports(t); }},
      {"traffic.sidecar.istio.io/includeOutboundPorts", "includeOutboundPorts",
       "--include-outbound-ports", port_help, text,
       [](RedirectConfig& c, Text t) { c.include_outbound_ports = parse_ports(t); }},
      {"traffic.sidecar.istio.io/excludeOutboundPorts", "excludeOutboundPorts",
       "--exclude-outbound-ports", port_help, text,
       [](RedirectConfig& c, Text t) { c.exclude_outbound_ports = parse_ports(t); }},
      {"traffic.sidecar.istio.io/includeOutboundIPRanges", "includeOutboundCidrs",
       "--include-outbound-cidrs", "outbound destinations to capture: * or CIDRs of both families",
       text, [](RedirectConfig& c, Text t) { c.include_outbound_cidrs = parse_cidr_selection(t); }},
      {"traffic.sidecar.istio.io/excludeOutboundIPRanges", "excludeOutboundCidrs",
       "--exclude-outbound-cidrs", "CIDRs of both families", text,
       [](RedirectConfig& c, Text t) { c.exclude_outbound_cidrs = parse_cidrs(t); }},
      {"traffic.sidecar.istio.io/excludeInterfaces", "excludeInterfaces", "--exclude-interfaces",
       "interface names", text,
       [](RedirectConfig& c, Text t) { c.exclude_interfaces = parse_interfaces(t); }},
      {"istio.io/reroute-virtual-interfaces", "virtualInterfaces", "--virtual-interfaces",
       "interfaces whose incoming traffic is outbound: that of a virtual machine in the pod", text,
       [](RedirectConfig& c, Text t) { c.virtual_interfaces = parse_interfaces(t); },
       "traffic.sidecar.istio.io/kubevirtInterfaces"},
      {"sluice.dev/exclude-inbound-cidrs", "excludeInboundCidrs", "--exclude-inbound-cidrs",
       "sources whose inbound traffic is not captured: CIDRs of both families", text,
       [](RedirectConfig& c, Text t) { c.exclude_inbound_cidrs = parse_cidrs(t); }},
      {"sluice.dev/exclude-outbound-for-uids", "excludeOutboundForUids",
       "--exclude-outbound-for-uids",
       "users whose outbound traffic is not captured: tcp:443,8000-8100:1000;udp::999;::998", text,
       [](RedirectConfig& c, Text t) { c.exclude_outbound_for_uids = parse_uid_exclusions(t); }},
      {"sluice.dev/include-owner-groups", "includeOwnerGroups", "--include-owner-groups",
       "groups whose outbound traffic is captured: * or GIDs", text,
       [](RedirectConfig& c, Text t) { c.include_owner_groups = parse_owner_group_selection(t); }},
      {"sluice.dev/exclude-owner-groups", "excludeOwnerGroups", "--exclude-owner-groups",
       "groups whose outbound traffic is not captured: GIDs", text,
       [](RedirectConfig& c, Text t) { c.exclude_owner_groups = parse_owner_groups(t); }},
  };
}

// How they are captured, and what else is done.
std::vector<Setting> interception() {
  using enum SettingType;
  return {
      {"sidecar.istio.io/interceptionMode", "interceptionMode", "--interception-mode",
       "REDIRECT, TPROXY to keep the source address of inbound traffic, or NONE to write nothing",
       text, [](RedirectConfig& c, Text t) { c.mode = parse_interception_mode(t); }},
      {"", "tproxyMark", "--tproxy-mark", "mode TPROXY: the packet mark, such as 1337 or 0x539",
       number, [](RedirectConfig& c, Text t) { c.tproxy_mark = parse_mark(t); }},
      {"", "tproxyTable", "--tproxy-table", "mode TPROXY: the number of the routing table", number,
       [](RedirectConfig& c, Text t) { c.tproxy_table = parse_routing_table(t); }},
      {"sluice.dev/dns-capture", "dnsCapture", "--dns-capture",
       "queries to capture: all, resolvers (those to the pod's own), off", text,
       [](RedirectConfig& c, Text t) { c.dns_capture = parse_dns_capture(t); }},
      {"", "dnsResolvers", "--dns-resolvers", "addresses of the pod's own resolvers", text,
       [](RedirectConfig& c, Text t) { c.resolvers = parse_resolvers(t); }},
      {"", "dnsPort", "--dns-port", "the sidecar's DNS listener", port,
       [](RedirectConfig& c, Text t) { c.dns_port = parse_port(t); }},
      {"sluice.dev/drop-invalid", "dropInvalid", "--drop-invalid",
       "whether packets that belong to no connection are dropped", boolean,
       [](RedirectConfig& c, Text t) { c.drop_invalid = parse_bool(t); }},
      {"sluice.dev/log", "log", "--log",
       "whether new connections are reported, for `sluice trace` to print", boolean,
       [](RedirectConfig& c, Text t) { c.log = parse_bool(t); }},
      {"", "ipv4LoopbackCidr", "--ipv4-loopback-cidr", "what localhost is: within 127.0.0.0/8",
       text, [](RedirectConfig& c, Text t) { c.ipv4_loopback = parse_ipv4_loopback(t); }},
  };
}

// Who the sidecar is and where it listens.
std::vector<Setting> sidecar() {
  using enum SettingType;
  return {
      {"sluice.dev/proxy-uid", "proxyUid", "--proxy-uid", "UIDs of the sidecar", ids,
       [](RedirectConfig& c, Text t) { c.proxy_uids = parse_ids(t, "UID"); }},
      {"sluice.dev/proxy-gid", "proxyGid", "--proxy-gid", "GIDs of the sidecar", ids,
       [](RedirectConfig& c, Text t) { c.proxy_gids = parse_ids(t, "GID"); }},
      {"sluice.dev/dual-stack", "dualStack", "--dual-stack",
       "whether the sidecar listens on both families", boolean,
       [](RedirectConfig& c, Text t) { c.dual_stack = parse_bool(t); }},
      {"", "ipv6", "--ipv6", "auto, always, never or block", text,
       [](RedirectConfig& c, Text t) { c.ipv6 = parse_ipv6_policy(t); }},
      {"", "layout", "--layout", layout_choices(), text,
       [](RedirectConfig& c, Text t) { c.layout = &parse_layout(t); }},
      {"", "proxyPort", "--proxy-port", "the sidecar's outbound listener", port,
       [](RedirectConfig& c, Text t) { c.proxy_port = parse_port(t); }},
      {"", "inboundCapturePort", "--inbound-capture-port", "the sidecar's inbound listener", port,
       [](RedirectConfig& c, Text t) { c.inbound_capture_port = parse_port(t); }},
      {"", "inboundTunnelPort", "--inbound-tunnel-port", "HBONE, never captured", port,
       [](RedirectConfig& c, Text t) { c.inbound_tunnel_port = parse_port(t); }},
  };
}

}  // namespace

const std::vector<Setting>& settings() {
  static const std::vector<Setting> all = [] {
    std::vector<Setting> list = captured_traffic();
    for (const auto& part : {interception(), sidecar()}) {
      list.insert(list.end(), part.begin(), part.end());
    }
    return list;
  }();
  return all;
}

const std::string* find_annotation(const Annotations& annotations, const char* key) {
  const auto found = annotations.find(key);
  return found == annotations.end() ? nullptr : &found->second;
}

void apply_annotations(RedirectConfig& config, const Annotations& annotations) {
  for (const Setting& setting : settings()) {
    const auto found = find_annotation(setting, annotations);
    if (found == annotations.end()) continue;
    try {
      setting.set(config, found->second);
    } catch (const Error& error) {
      throw Error(Code::invalid_config, "annotation " + found->first + ": " + error.what());
    }
  }
}

}  // namespace sluice::cni

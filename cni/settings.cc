// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/settings.h"

#include "cni/code.h"
#include "rules/error.h"
#include "rules/parse.h"

namespace sluice::cni {
namespace {

using Text = std::string_view;

constexpr const char* port_help = "ports and ranges such as 80,8000-8100";

}  // namespace

const std::vector<Setting>& settings() {
  using enum SettingType;
  static const std::vector<Setting> all{
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
      {"sidecar.istio.io/interceptionMode", "interceptionMode", "--interception-mode",
       "REDIRECT, or NONE to write nothing", text,
       [](RedirectConfig& c, Text t) { c.mode = parse_interception_mode(t); }},
      {"sluice.dev/proxy-uid", "proxyUid", "--proxy-uid", "UIDs of the sidecar", ids,
       [](RedirectConfig& c, Text t) { c.proxy_uids = parse_ids(t, "UID"); }},
      {"sluice.dev/proxy-gid", "proxyGid", "--proxy-gid", "GIDs of the sidecar", ids,
       [](RedirectConfig& c, Text t) { c.proxy_gids = parse_ids(t, "GID"); }},
      {"sluice.dev/dual-stack", "dualStack", "--dual-stack",
       "whether the sidecar listens on both families", boolean,
       [](RedirectConfig& c, Text t) { c.dual_stack = parse_bool(t); }},
      {"", "ipv6", "--ipv6", "auto, always, never or block", text,
       [](RedirectConfig& c, Text t) { c.ipv6 = parse_ipv6_policy(t); }},
      {"", "layout", "--layout", "istio or istio-1.6", text,
       [](RedirectConfig& c, Text t) { c.layout = &parse_layout(t); }},
      {"", "proxyPort", "--proxy-port", "the sidecar's outbound listener", port,
       [](RedirectConfig& c, Text t) { c.proxy_port = parse_port(t); }},
      {"", "inboundCapturePort", "--inbound-capture-port", "the sidecar's inbound listener", port,
       [](RedirectConfig& c, Text t) { c.inbound_capture_port = parse_port(t); }},
      {"", "inboundTunnelPort", "--inbound-tunnel-port", "HBONE, never captured", port,
       [](RedirectConfig& c, Text t) { c.inbound_tunnel_port = parse_port(t); }},
  };
  return all;
}

void apply_annotations(RedirectConfig& config, const Annotations& annotations) {
  for (const Setting& setting : settings()) {
    const auto found = annotations.find(setting.annotation);
    if (found == annotations.end()) continue;
    try {
      setting.set(config, found->second);
    } catch (const Error& error) {
      throw Error(Code::invalid_config,
                  std::string("annotation ") + setting.annotation + ": " + error.what());
    }
  }
}

}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/consistency.h"

#include <string>

#include "rules/error.h"
#include "rules/parse.h"

namespace sluice {
namespace {

void refuse_unknown_resolvers(const RedirectConfig& config) {
  if (config.dns_capture != DnsCapture::resolvers || !config.resolvers.empty()) return;
  throw Error(
      R"(dnsCapture "resolvers": the pod's resolvers are not known: the runtime must send them )"
      R"((capability "dns"), or dnsResolvers must name them)");
}

void refuse_two_group_lists(const RedirectConfig& config) {
  if (config.include_owner_groups.all || config.exclude_owner_groups.empty()) return;
  throw Error("excludeOwnerGroups \"" + std::to_string(config.exclude_owner_groups.front()) +
              R"(" has no meaning unless includeOwnerGroups is "*")");
}

void refuse_shared_ports(const RedirectConfig& config) {
  const auto refuse = [](const char* a, const char* b, std::uint16_t port) {
    throw Error(std::string(a) + " and " + b + " are both " + std::to_string(port));
  };
  const std::uint16_t tunnel = config.inbound_tunnel_port;
  if (config.proxy_port == config.inbound_capture_port) {
    refuse("proxyPort", "inboundCapturePort", config.proxy_port);
  }
  if (tunnel == config.proxy_port) refuse("proxyPort", "inboundTunnelPort", tunnel);
  if (tunnel == config.inbound_capture_port) {
    refuse("inboundCapturePort", "inboundTunnelPort", tunnel);
  }
  if (config.dns_capture == DnsCapture::off) return;
  if (config.dns_port == config.proxy_port) refuse("proxyPort", "dnsPort", config.dns_port);
  if (config.dns_port == config.inbound_capture_port) {
    refuse("inboundCapturePort", "dnsPort", config.dns_port);
  }
  if (config.dns_port == tunnel) refuse("inboundTunnelPort", "dnsPort", config.dns_port);
}

void refuse_shared_mark(const RedirectConfig& config) {
  if (config.mode == InterceptionMode::tproxy && config.tproxy_mark == outbound_mark) {
    throw Error("tproxyMark \"" + std::to_string(outbound_mark) +
                "\" is that of the sidecar's own calls");
  }
}

// There is a rule for each pair of a virtual interface and an included CIDR, in Istio's order, or a
// resolver, in our own: two lists that a pod may fill to their limits would make millions.
void refuse_product(const RedirectConfig& config) {
  const auto refuse = [&](const char* other, std::size_t size) {
    const std::size_t pairs = config.virtual_interfaces.size() * size;
    if (pairs <= list_length_limit) return;
    throw Error(std::string("virtualInterfaces and ") + other + " make " + std::to_string(pairs) +
                " pairs, more than " + std::to_string(list_length_limit));
  };
  refuse("includeOutboundCidrs", config.include_outbound_cidrs.list.size());
  if (config.dns_capture == DnsCapture::resolvers) refuse("dnsResolvers", config.resolvers.size());
}

}  // namespace

void refuse_contradictions(const RedirectConfig& config) {
  if (config.mode == InterceptionMode::none) return;
  refuse_unknown_resolvers(config);
  refuse_two_group_lists(config);
  refuse_shared_ports(config);
  refuse_shared_mark(config);
  refuse_product(config);
}

}  // namespace sluice

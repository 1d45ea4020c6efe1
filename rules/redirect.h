// SPDX-License-Identifier: GPL-2.0-or-later
// The mesh's policy: what a pod's redirection looks like, and the rules that bring it about. This
// is the only place that knows it. Facts: Istio's istio-iptables and istio-cni, versions 1.6 and
// 1.32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/backend.h"
#include "rules/ip.h"
#include "rules/rule.h"

namespace sluice {

// "*" or a list.
template <class T>
struct Selection {
  bool all = true;
  std::vector<T> list = {};  // empty when `all`

  bool operator==(const Selection&) const = default;
};

// What a family's rules do in a pod.
enum class FamilyAction : std::uint8_t {
  redirect,  // to the sidecar
  none,      // nothing is written
  block,     // new TCP connections that `redirect` would capture are reset
};

// The `ipv6` setting: the sidecar listens on IPv6 only in some pods, what is redirected where
// nobody listens is refused, and what is not redirected goes past the mesh.
enum class Ipv6Policy : std::uint8_t {
  automatic,  // redirect if the pod's first address is IPv6 or the mesh is dual stack, else none
  always,
  never,
  block,  // as automatic, but block instead of none
};

enum class InterceptionMode : std::uint8_t {
  redirect,
  tproxy,  // as redirect, but inbound connections keep their source address
  none,
};

// Which DNS queries go to the sidecar: none, all to port 53, those to the pod's own resolvers.
enum class DnsCapture : std::uint8_t { off, all, resolvers };

// Outbound traffic of some users that is not captured.
struct UidExclusion {
  struct Uids {
    std::uint32_t first = 0;
    std::uint32_t last = 0;

    auto operator<=>(const Uids&) const = default;
  };
  std::optional<Protocol> protocol = std::nullopt;  // tcp or udp; nothing: everything
  std::vector<PortRange> ports = {};                // empty: all; not empty only with a protocol
  std::vector<Uids> uids = {};                      // at least one

  bool operator==(const UidExclusion&) const = default;
};

struct Layout;

// The layout of that name ("istio", "istio-1.6"), nullptr if there is none.
const Layout* find_layout(std::string_view name);
// All layouts' names, the default first.
const std::vector<std::string>& layout_names();

// What is redirected, as annotations, flags and configuration ask for it. Defaults are those of
// istio-cni. Values are valid by construction: they come from rules/parse.h. Lists that are left
// unset take the layout's own default, because the ports that are always excluded belong to it.
struct RedirectConfig {
  const Layout* layout = find_layout("istio");
  InterceptionMode mode = InterceptionMode::redirect;
  Ipv6Policy ipv6 = Ipv6Policy::automatic;
  bool dual_stack = false;

  std::uint16_t proxy_port = 15001;            // the sidecar's outbound listener
  std::uint16_t inbound_capture_port = 15006;  // its inbound listener
  std::uint16_t inbound_tunnel_port = 15008;   // HBONE: never redirected

  // Traffic of these is the sidecar's own and is not redirected again.
  std::vector<std::uint32_t> proxy_uids = {1337};
  std::vector<std::uint32_t> proxy_gids = {1337};

  Selection<PortRange> include_inbound_ports = {};
  // Only where all inbound ports are included. The layout appends ports of its own.
  std::optional<std::vector<PortRange>> exclude_inbound_ports = std::nullopt;
  // Captured whatever their destination, in addition to include_outbound_cidrs.
  std::vector<PortRange> include_outbound_ports = {};
  std::optional<std::vector<PortRange>> exclude_outbound_ports = std::nullopt;
  // Both families in one list; each rule set takes its own. If one of them is loopback, traffic
  // over lo that is not the sidecar's is captured too, in both families.
  Selection<Cidr> include_outbound_cidrs = {};
  std::vector<Cidr> exclude_outbound_cidrs = {};
  // Nothing that comes in or goes out over these is captured.
  std::vector<std::string> exclude_interfaces = {};
  // What comes in over these was sent by a guest of the pod (a virtual machine): it is captured as
  // outbound traffic, never as inbound.
  std::vector<std::string> virtual_interfaces = {};
  // Inbound traffic from these is not captured.
  std::vector<Cidr> exclude_inbound_cidrs = {};
  std::vector<UidExclusion> exclude_outbound_for_uids = {};
  // Only outbound traffic of these groups is captured (at most owner_group_limit)...
  Selection<std::uint32_t> include_owner_groups = {};
  // ...or, where all are included, that of all groups but these.
  std::vector<std::uint32_t> exclude_owner_groups = {};

  // Mode tproxy: what marks a packet for the sidecar, and the routing table that delivers it.
  std::uint32_t tproxy_mark = 1337;
  std::uint32_t tproxy_table = 133;

  DnsCapture dns_capture = DnsCapture::off;
  std::vector<IpAddress> resolvers = {};  // of both families; for DnsCapture::resolvers
  std::uint16_t dns_port = 15053;         // the sidecar's DNS listener

  // Drop packets that belong to no connection instead of letting the pod answer them with a reset.
  bool drop_invalid = false;
  // What "localhost" is in IPv4's rules.
  Cidr ipv4_loopback = parse_cidr("127.0.0.1/32");
  // Report new connections to NFLOG group nflog_group, rate-limited.
  bool log = false;
};

// The mark of the sidecar's own calls into its pod in mode tproxy; tproxy_mark must differ.
inline constexpr std::uint32_t outbound_mark = 1338;
// iptables rules have no place for more.
inline constexpr std::size_t owner_group_limit = 64;
// Where RedirectConfig::log reports to, and how each report's text begins.
inline constexpr std::uint16_t nflog_group = 1337;
inline constexpr std::string_view nflog_prefix = "sluice: ";

// What is known of the pod's network. Addresses may come after ADD (SLAAC), so what is decided
// from them is a family's fate, never a single address's.
struct PodNetwork {
  // In the order of the previous plugin's result, else of the interface; the first one decides.
  std::vector<IpAddress> addresses = {};
  // IPv6 is not disabled on lo.
  bool ipv6_on_loopback = true;
};

// An IPv6 address that peers outside the host can reach: not loopback, link-local or multicast.
bool is_usable_ipv6(const IpAddress& address);

// What happens to IPv6 in a pod with these addresses.
FamilyAction ipv6_action(const RedirectConfig& config, const PodNetwork& pod);

// The usable IPv6 addresses of the pod whose TCP traffic goes past the mesh because `automatic`
// leaves IPv6 alone. Empty for every other setting: it was asked for.
std::vector<IpAddress> uncaptured_ipv6(const RedirectConfig& config, const PodNetwork& pod);

// The sidecar reaches the application from this address, 127.0.0.6/32 or ::6/128, so that its
// traffic can be told apart.
Cidr passthrough_source(Family family);

// The rules of one family. Mode none and action none give a Ruleset without tables.
Ruleset redirect_ruleset(const RedirectConfig& config, Family family,
                         FamilyAction action = FamilyAction::redirect);

// Everything that belongs into the pod's namespace: both families' rules, and ::6/128 on lo where
// inbound IPv6 is redirected and lo can take it (the sidecar binds it to reach the application).
// IPv6 is required if the pod has a usable IPv6 address.
Interception interception(const RedirectConfig& config, const PodNetwork& pod);

}  // namespace sluice

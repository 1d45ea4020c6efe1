// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice/istio_iptables/flags.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "cmd/sluice/istio_iptables/values.h"
#include "rules/error.h"
#include "rules/parse.h"

namespace sluice::cmd::istio_iptables {
namespace {

using Text = std::string_view;
using enum FlagType;

IptablesBinary parse_binary(Text text) {
  if (text.empty()) return IptablesBinary::any;
  if (text == "legacy") return IptablesBinary::legacy;
  if (text == "nft") return IptablesBinary::nft;
  throw Error(quote(text) + " is not legacy or nft");
}

Selection<std::uint32_t> limited_groups(Text text) {
  Selection<std::uint32_t> groups = select_ids(text, "GID");
  if (groups.list.size() > owner_group_limit) {
    throw Error("more than " + std::to_string(owner_group_limit) + " groups are given");
  }
  return groups;
}

void ignore(Options& /*options*/, Text /*text*/) {}

// Checks what has no effect here.
void check_bool(Options& /*options*/, Text text) {
  parse_bool(text);
}

constexpr const char* accepted = "accepted without effect";

// What is captured, what is done, and pilot-agent's own: the injector adds those, and there is no
// log to set up.
constexpr std::array<Flag, 48> table{{
    {"envoy-port", 'p', text, "", "the sidecar's outbound listener (15001)",
     [](Options& o, Text t) { o.config.proxy_port = parse_port(t); }},
    {"inbound-capture-port", 'z', text, "INBOUND_CAPTURE_PORT",
     "the sidecar's inbound listener (15006)",
     [](Options& o, Text t) { o.config.inbound_capture_port = parse_port(t); }},
    {"inbound-tunnel-port", 'e', text, "INBOUND_TUNNEL_PORT", "HBONE, never captured (15008)",
     [](Options& o, Text t) { o.config.inbound_tunnel_port = parse_port(t); }},
    {"proxy-uid", 'u', text, "PROXY_UID", "UIDs of the sidecar (that of ENVOY_USER, else 1337)",
     [](Options& o, Text t) { o.proxy_uids = list_ids(t, "UID"); }},
    {"proxy-gid", 'g', text, "PROXY_GID", "GIDs of the sidecar (as --proxy-uid)",
     [](Options& o, Text t) { o.proxy_gids = list_ids(t, "GID"); }},
    {"istio-inbound-interception-mode", 'm', text, "ISTIO_INBOUND_INTERCEPTION_MODE",
     "REDIRECT, TPROXY, or NONE to write nothing",
     [](Options& o, Text t) { o.config.mode = parse_mode(t); }},
    {"istio-inbound-ports", 'b', text, "ISTIO_INBOUND_PORTS",
     "inbound ports to capture: *, or a list; empty: none",
     [](Options& o, Text t) { o.config.include_inbound_ports = select_ports(t); }},
    {"istio-local-exclude-ports", 'd', text, "ISTIO_LOCAL_EXCLUDE_PORTS",
     "inbound ports not to capture, with -b '*'",
     [](Options& o, Text t) { o.config.exclude_inbound_ports = list_ports(t); }},
    {"istio-exclude-interfaces", 'c', text, "ISTIO_EXCLUDE_INTERFACES",
     "interfaces over which nothing is captured",
     [](Options& o, Text t) { o.config.exclude_interfaces = list_interfaces(t); }},
    {"istio-service-cidr", 'i', text, "ISTIO_SERVICE_CIDR",
     "outbound destinations to capture: *, or CIDRs; empty: none",
     [](Options& o, Text t) { o.config.include_outbound_cidrs = select_cidrs(t); }},
    {"istio-service-exclude-cidr", 'x', text, "ISTIO_SERVICE_EXCLUDE_CIDR",
     "outbound destinations not to capture",
     [](Options& o, Text t) { o.config.exclude_outbound_cidrs = list_cidrs(t); }},
    {"istio-outbound-ports", 'q', text, "ISTIO_OUTBOUND_PORTS",
     "outbound ports to capture whatever the destination",
     [](Options& o, Text t) { o.config.include_outbound_ports = list_ports(t); }},
    {"istio-local-outbound-ports-exclude", 'o', text, "ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE",
     "outbound ports not to capture",
     [](Options& o, Text t) { o.config.exclude_outbound_ports = list_ports(t); }},
    {"kube-virt-interfaces", 'k', text, "KUBE_VIRT_INTERFACES",
     "interfaces of virtual machines: what comes in over them is outbound traffic",
     [](Options& o, Text t) { o.config.virtual_interfaces = list_interfaces(t); }},
    {"istio-inbound-tproxy-mark", 't', text, "ISTIO_INBOUND_TPROXY_MARK",
     "mark of packets for the sidecar in mode TPROXY (1337)",
     [](Options& o, Text t) { o.config.tproxy_mark = parse_mark(t); }},
    {"istio-inbound-tproxy-route-table", 'r', text, "ISTIO_INBOUND_TPROXY_ROUTE_TABLE",
     "routing table that delivers them (133)",
     [](Options& o, Text t) { o.config.tproxy_table = parse_routing_table(t); }},
    {"redirect-dns", '\0', boolean, "REDIRECT_DNS ISTIO_META_DNS_CAPTURE",
     "capture DNS queries to the servers in /etc/resolv.conf",
     [](Options& o, Text t) { o.redirect_dns = parse_bool(t); }},
    {"capture-all-dns", '\0', boolean, "CAPTURE_ALL_DNS",
     "with --redirect-dns: capture all queries to port 53",
     [](Options& o, Text t) { o.capture_all_dns = parse_bool(t); }},
    {"drop-invalid", '\0', boolean, "DROP_INVALID INVALID_DROP",
     "drop packets that belong to no connection",
     [](Options& o, Text t) { o.config.drop_invalid = parse_bool(t); }},
    {"dual-stack", '\0', boolean, "DUAL_STACK ISTIO_DUAL_STACK",
     "the sidecar listens on both families",
     [](Options& o, Text t) { o.config.dual_stack = parse_bool(t); }},
    {"", '\0', text, "ISTIO_OUTBOUND_OWNER_GROUPS",
     "groups whose outbound traffic is captured: *, or up to 64 GIDs; empty: none",
     [](Options& o, Text t) { o.config.include_owner_groups = limited_groups(t); }},
    {"", '\0', text, "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE",
     "groups whose outbound traffic is not captured: GIDs",
     [](Options& o, Text t) { o.config.exclude_owner_groups = list_ids(t, "GID"); }},
    {"", '\0', text, "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR",
     "what localhost is in IPv4 (127.0.0.1/32)",
     [](Options& o, Text t) { o.config.ipv4_loopback = parse_ipv4_loopback(t); }},
    {"", '\0', text, "ENVOY_USER", "the sidecar's user in /etc/passwd (istio-proxy)",
     [](Options& o, Text t) { o.envoy_user = t; }},
    {"network-namespace", '\0', text, "NETWORK_NAMESPACE",
     "path of the network namespace (our own)",
     [](Options& o, Text t) { o.network_namespace = t; }},
    {"cni-mode", '\0', boolean, "CNI_MODE", "the files are the node's: --redirect-dns captures all",
     [](Options& o, Text t) { o.cni_mode = parse_bool(t); }},
    {"cleanup-only", '\0', boolean, "CLEANUP_ONLY", "take out all of Sluice's and Istio's rules",
     [](Options& o, Text t) { o.cleanup_only = parse_bool(t); }},
    {"skip-rule-apply", '\0', boolean, "SKIP_RULE_APPLY", "write nothing",
     [](Options& o, Text t) { o.skip_rule_apply = parse_bool(t); }},
    {"dry-run", 'n', boolean, "DRY_RUN", "print the rules, write nothing",
     [](Options& o, Text t) { o.dry_run = parse_bool(t); }},
    {"", '\0', text, "DRY_RUN_FILE_PATH", "with --dry-run: write them to this file too",
     [](Options& o, Text t) { o.dry_run_file = t; }},
    {"run-validation", '\0', boolean, "RUN_VALIDATION",
     "test with connections that traffic is captured: exit 126 if not",
     [](Options& o, Text t) { o.run_validation = parse_bool(t); }},
    {"iptables-probe-port", '\0', text, "IPTABLES_PROBE_PORT",
     "the port that validation connects to (15002)",
     [](Options& o, Text t) { o.probe_port = parse_port(t); }},
    {"probe-timeout", '\0', text, "PROBE_TIMEOUT", "how long each test may take (5s)",
     [](Options& o, Text t) { o.probe_timeout = parse_duration(t); }},
    {"reconcile", '\0', boolean, "RECONCILE", "accepted: rules always converge", check_bool},
    {"force-apply", '\0', boolean, "FORCE_APPLY", "accepted: rules always converge", check_bool},
    {"native-nftables", '\0', boolean, "NATIVE_NFTABLES",
     "write nftables' rules, even where the kernel offers iptables'",
     [](Options& o, Text t) { o.native_nftables = parse_bool(t); }},
    {"force-iptables-binary", '\0', text, "FORCE_IPTABLES_BINARY",
     "legacy, or nft with a warning: no binary is used",
     [](Options& o, Text t) { o.binary = parse_binary(t); }},
    {"help", 'h', boolean, "", "print this", [](Options& o, Text t) { o.help = parse_bool(t); }},
    {"log_as_json", '\0', boolean, "", accepted, check_bool},
    {"log_output_level", '\0', text, "", accepted, ignore},
    {"log_stacktrace_level", '\0', text, "", accepted, ignore},
    {"log_caller", '\0', text, "", accepted, ignore},
    {"log_target", '\0', text, "", accepted, ignore},
    {"log_rotate", '\0', text, "", accepted, ignore},
    {"log_rotate_max_age", '\0', text, "", accepted, ignore},
    {"log_rotate_max_backups", '\0', text, "", accepted, ignore},
    {"log_rotate_max_size", '\0', text, "", accepted, ignore},
    {"vklog", '\0', text, "", accepted, ignore},
}};

}  // namespace

std::span<const Flag> flags() {
  return table;
}

std::vector<std::string> variables_of(const Flag& flag) {
  std::vector<std::string> names;
  for (std::string_view rest = flag.variables; !rest.empty();) {
    names.emplace_back(rest.substr(0, rest.find(' ')));
    rest.remove_prefix(std::min(rest.size(), names.back().size() + 1));
  }
  return names;
}

const Flag* find_flag(std::string_view name) {
  if (name.empty()) return nullptr;
  const auto* const found =
      std::find_if(table.begin(), table.end(), [&](const Flag& flag) { return flag.name == name; });
  return found == table.end() ? nullptr : found;
}

const Flag* find_flag(char letter) {
  if (letter == '\0') return nullptr;
  const auto* const found = std::find_if(table.begin(), table.end(),
                                         [&](const Flag& flag) { return flag.letter == letter; });
  return found == table.end() ? nullptr : found;
}

}  // namespace sluice::cmd::istio_iptables

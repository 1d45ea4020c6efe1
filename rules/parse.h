// SPDX-License-Identifier: GPL-2.0-or-later
// The text of settings: what annotations, flags and the network configuration hold. Lists are
// separated by commas; blanks around an element are dropped, elements that stand twice count once,
// in order; an empty text is an empty list, an empty element is refused. All functions throw Error
// naming the offending element; the caller puts the setting's name before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rules/ip.h"
#include "rules/redirect.h"

namespace sluice {

inline constexpr std::size_t interface_name_limit = 15;  // IFNAMSIZ - 1, linux/if.h
inline constexpr std::size_t list_length_limit = 8192;
inline constexpr std::size_t owner_id_limit = 64;  // each makes rules by itself
inline constexpr std::size_t value_size_limit = std::size_t{256} * 1024;
// Of users and groups; the number above it is "no ID" to the kernel.
inline constexpr std::uint64_t highest_id = 0xfffffffe;

// An ASCII letter or digit, whatever the locale.
bool is_alphanumeric(char c);

// "80,443,8000-8100". "*" is refused.
std::vector<PortRange> parse_ports(std::string_view text);
// "*" or a list.
Selection<PortRange> parse_port_selection(std::string_view text);

// "10.0.0.0/8,fd00::/8". "*" is refused.
std::vector<Cidr> parse_cidrs(std::string_view text);
Selection<Cidr> parse_cidr_selection(std::string_view text);

// Names of 1 to 15 bytes of letters, digits, '_', '.' and '-', the first one a letter or digit.
// There is no wildcard.
std::vector<std::string> parse_interfaces(std::string_view text);

// UIDs or GIDs, 0 to highest_id, at least one and at most owner_id_limit different ones. `what`
// names them in messages ("UID").
std::vector<std::uint32_t> parse_ids(std::string_view text, std::string_view what);

// GIDs, possibly none. No name is looked up: /etc/group would be the host's. "*" is refused.
std::vector<std::uint32_t> parse_owner_groups(std::string_view text);
// "*" or at most owner_group_limit GIDs; empty: no group's traffic is captured.
Selection<std::uint32_t> parse_owner_group_selection(std::string_view text);

// "tcp:443,8000-8100:1000;udp::999;::998": entries PROTOCOL:PORTS:UIDS separated by semicolons,
// each with exactly two colons. PROTOCOL is tcp, udp or empty (everything, not only these two);
// PORTS is a list as in parse_ports, empty for all, and must be empty without a protocol; UIDS is a
// list of IDs and ranges, at least one. Ranges that overlap within an entry and "*" are refused.
// All entries together hold at most list_length_limit pairs of a port and a UID (of ranges, where
// they are ranges): each may become a rule.
std::vector<UidExclusion> parse_uid_exclusions(std::string_view text);

// "10.96.0.10,fd00::10": addresses of DNS servers. See parse_resolver.
std::vector<IpAddress> parse_resolvers(std::string_view text);
// One of them, as resolv.conf(5) spells it: an IPv6 address may carry a zone ("fe80::1%eth0"),
// which is dropped, because packets do not; an IPv4-mapped one is the IPv4 address that is asked.
// An address that no server can have (unspecified, multicast) is refused.
IpAddress parse_resolver(std::string_view text);

// A prefix within 127.0.0.0/8.
Cidr parse_ipv4_loopback(std::string_view text);

// A packet mark: decimal or hexadecimal (0x539), 1 to 0xffffffff, and not outbound_mark.
std::uint32_t parse_mark(std::string_view text);
// The number of a routing table, likewise, and not that of the kernel's own: 253 (default), 254
// (main), 255 (local); rtnetlink(7).
std::uint32_t parse_routing_table(std::string_view text);

// What Go's strconv.ParseBool takes: 1 t T TRUE true True 0 f F FALSE false False.
bool parse_bool(std::string_view text);

Ipv6Policy parse_ipv6_policy(std::string_view text);
// "all", "resolvers" or "off".
DnsCapture parse_dns_capture(std::string_view text);
const Layout& parse_layout(std::string_view text);
// The names that parse_layout takes, for a message: "a, b or c".
std::string layout_choices();
// "REDIRECT", "TPROXY" or "NONE".
InterceptionMode parse_interception_mode(std::string_view text);

}  // namespace sluice

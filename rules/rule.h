// SPDX-License-Identifier: GPL-2.0-or-later
// The rule model: what iptables(8) calls tables, chains, rules, matches and targets, as plain
// comparable data. No kernel header, no policy. Words are those of iptables-extensions(8).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rules/ip.h"

namespace sluice {

// In the order of the hooks' priorities (netfilter_ipv4.h: raw -300, mangle -150, nat -100,
// filter 0).
enum class Table : std::uint8_t { raw, mangle, nat, filter };
inline constexpr std::array<Table, 4> all_tables{Table::raw, Table::mangle, Table::nat,
                                                 Table::filter};

// The mask of a mark that stands for all of its bits.
inline constexpr std::uint32_t all_bits = 0xffffffff;

// An IANA protocol number (netinet/in.h IPPROTO_*).
enum class Protocol : std::uint8_t { icmp = 1, tcp = 6, udp = 17, icmpv6 = 58 };

// -i / -o: an interface name of 1 to 15 bytes; a trailing '+' matches every name with the prefix.
struct Interface {
  std::string name;
  bool negated = false;

  bool operator==(const Interface&) const = default;
};

// -s / -d.
struct AddressMatch {
  Cidr cidr;
  bool negated = false;

  bool operator==(const AddressMatch&) const = default;
};

// --sport / --dport of the tcp and udp matches. The full range 0 to 65535 that is not negated is
// no match at all and is std::nullopt in Tcp and Udp.
struct PortMatch {
  PortRange ports;
  bool negated = false;

  bool operator==(const PortMatch&) const = default;
};

// --tcp-flags MASK COMP: bits as in the TCP header (FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32).
struct TcpFlags {
  std::uint8_t mask = 0;
  std::uint8_t compare = 0;
  bool negated = false;

  bool operator==(const TcpFlags&) const = default;
};

// -m tcp. Valid only in a rule whose protocol is tcp.
struct Tcp {
  std::optional<PortMatch> source = std::nullopt;
  std::optional<PortMatch> destination = std::nullopt;
  std::optional<TcpFlags> flags = std::nullopt;

  bool operator==(const Tcp&) const = default;
};

// -m udp. Valid only in a rule whose protocol is udp.
struct Udp {
  std::optional<PortMatch> source = std::nullopt;
  std::optional<PortMatch> destination = std::nullopt;

  bool operator==(const Udp&) const = default;
};

// A range of UIDs or GIDs as --uid-owner and --gid-owner take it, first <= last.
struct OwnerRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  bool negated = false;

  bool operator==(const OwnerRange&) const = default;
};

// -m owner. Valid only in OUTPUT and POSTROUTING and the chains they call.
struct Owner {
  std::optional<OwnerRange> uid = std::nullopt;
  std::optional<OwnerRange> gid = std::nullopt;

  bool operator==(const Owner&) const = default;
};

// -m multiport --dports: up to 15 ports, where a range counts as two. Valid only in a rule whose
// protocol has ports.
struct Multiport {
  static constexpr std::size_t slots = 15;

  std::vector<PortRange> destinations = {};
  bool negated = false;

  bool operator==(const Multiport&) const = default;
};

// -m mark: the packet's mark, under `mask`, is `value`.
struct Mark {
  std::uint32_t value = 0;
  std::uint32_t mask = all_bits;
  bool negated = false;

  bool operator==(const Mark&) const = default;
};

// -m connmark: the same of the connection's mark.
struct Connmark {
  std::uint32_t value = 0;
  std::uint32_t mask = all_bits;
  bool negated = false;

  bool operator==(const Connmark&) const = default;
};

// -m conntrack --ctstate and --ctdir, at least one of them. The states are a set; its bits are
// those of the kernel's XT_CONNTRACK_STATE_* (linux/netfilter/xt_conntrack.h).
struct Conntrack {
  static constexpr std::uint16_t invalid = 1;
  static constexpr std::uint16_t established = 2;
  static constexpr std::uint16_t related = 4;
  static constexpr std::uint16_t new_connection = 8;
  static constexpr std::uint16_t untracked = 256;

  // Of the packet within its connection: that of the one who opened it, or the other.
  enum class Direction : std::uint8_t { original, reply };

  std::uint16_t states = 0;  // 0: any
  bool negated = false;      // of the states
  std::optional<Direction> direction = std::nullopt;

  bool operator==(const Conntrack&) const = default;
};

// -m limit: a token bucket of `burst` packets that fills at one packet in `period`, counted in
// units of 0.1 ms (XT_LIMIT_SCALE); 10/sec is 1000.
struct Limit {
  std::uint32_t period = 0;
  std::uint32_t burst = 5;

  bool operator==(const Limit&) const = default;
};

// A match or target that Sluice never writes but may find in a live table or a dump: `text` is
// its options as found, or the kernel's bytes in hexadecimal. Cannot be applied.
struct Opaque {
  std::string text;

  bool operator==(const Opaque&) const = default;
};

using Match = std::variant<Tcp, Udp, Owner, Multiport, Mark, Connmark, Conntrack, Limit, Opaque>;

struct Accept {
  bool operator==(const Accept&) const = default;
};
struct Drop {
  bool operator==(const Drop&) const = default;
};
struct Return {
  bool operator==(const Return&) const = default;
};
// -j CHAIN, or -g CHAIN, which does not come back; a chain of the same table.
struct Jump {
  std::string chain;
  bool go_to = false;

  bool operator==(const Jump&) const = default;
};
// -j REDIRECT --to-ports: the packet goes to this port of the host itself. Only in nat, only with
// a protocol that has ports.
struct Redirect {
  std::uint16_t port = 0;

  bool operator==(const Redirect&) const = default;
};
// -j REJECT --reject-with tcp-reset. Only in filter, only with protocol tcp.
struct RejectWithTcpReset {
  bool operator==(const RejectWithTcpReset&) const = default;
};
// -j REJECT --reject-with icmp-port-unreachable, icmp6-port-unreachable in IPv6. Only in filter.
struct RejectWithPortUnreachable {
  Family family = Family::ipv4;  // of the rule set

  bool operator==(const RejectWithPortUnreachable&) const = default;
};
// -j MARK --set-xmark VALUE/MASK: the packet's mark loses the bits of `mask` and is then xored with
// `value`. With the full mask it is set to `value`. Only in mangle.
struct SetMark {
  std::uint32_t value = 0;
  std::uint32_t mask = all_bits;

  bool operator==(const SetMark&) const = default;
};
// -j CONNMARK --save-mark: the packet's mark, all bits, becomes the connection's.
struct SaveMark {
  bool operator==(const SaveMark&) const = default;
};
// -j CONNMARK --restore-mark: the connection's mark, all bits, becomes the packet's. Only in
// mangle.
struct RestoreMark {
  bool operator==(const RestoreMark&) const = default;
};
// -j TPROXY: the packet is delivered to the socket that listens on this port and address (all
// zeros: the one the packet came in on) and gets the mark. Only in mangle's PREROUTING.
struct Tproxy {
  IpAddress address = {};  // of the rule set's family
  std::uint16_t port = 0;
  std::uint32_t mark = 0;
  std::uint32_t mask = all_bits;

  bool operator==(const Tproxy&) const = default;
};
// -j CT --zone: the connection is tracked in this zone. Only in raw.
struct CtZone {
  std::uint16_t zone = 0;

  bool operator==(const CtZone&) const = default;
};
// -j NFLOG: the packet is handed to whoever listens on the netlink group.
struct Nflog {
  std::uint16_t group = 0;
  std::string prefix = {};  // up to 63 bytes, no control characters

  bool operator==(const Nflog&) const = default;
};

using Target = std::variant<Accept, Drop, Return, Jump, Redirect, RejectWithTcpReset,
                            RejectWithPortUnreachable, SetMark, SaveMark, RestoreMark, Tproxy,
                            CtZone, Nflog, Opaque>;

// Which setting or part of the policy a rule comes from, for people: "excludeOutboundPorts". A
// literal. Two rules are equal whatever it says.
struct Origin {
  std::string_view text = {};

  friend constexpr bool operator==(const Origin& /*a*/, const Origin& /*b*/) { return true; }
};

// One rule. Members stand in the order in which iptables-save prints them.
struct Rule {
  std::optional<AddressMatch> source = std::nullopt;
  std::optional<AddressMatch> destination = std::nullopt;
  std::optional<Interface> in = std::nullopt;
  std::optional<Interface> out = std::nullopt;
  std::optional<Protocol> protocol = std::nullopt;
  std::vector<Match> matches = {};
  Target target = Return{};
  Origin origin = {};

  bool operator==(const Rule&) const = default;
};

enum class Policy : std::uint8_t { accept, drop };

struct Chain {
  std::string name;
  // Set exactly for built-in chains.
  std::optional<Policy> policy = std::nullopt;
  std::vector<Rule> rules = {};

  bool operator==(const Chain&) const = default;
};

struct TableRules {
  Table table = Table::nat;
  // In the order of declaration. See diff.h for what that order means.
  std::vector<Chain> chains = {};

  bool operator==(const TableRules&) const = default;
};

// Whether all rules that were read are ours (ownership.h) whatever they look like, as in a table
// that nobody else has anything to do with. Two rule sets are equal whatever it says.
struct Exclusive {
  bool value = false;

  friend constexpr bool operator==(const Exclusive& /*a*/, const Exclusive& /*b*/) { return true; }
};

// The tables of one family. A table that is not listed holds nothing of interest.
struct Ruleset {
  Family family = Family::ipv4;
  std::vector<TableRules> tables = {};
  Exclusive exclusive = {};

  bool operator==(const Ruleset&) const = default;
};

// The names of a table's built-in chains in the order of their hooks, as the kernel lists them.
const std::vector<std::string>& builtin_chains(Table table);
bool is_builtin_chain(Table table, const std::string& name);

// "raw", "mangle", "nat", "filter".
const char* to_string(Table table);
std::optional<Table> parse_table(const std::string& name);
// As iptables and nft spell it: "tcp", "ipv6-icmp", a number where there is no name.
std::string to_string(Protocol protocol);
// "IPv4", "IPv6".
const char* to_string(Family family);

// Whether Nflog may hold this prefix. Not one with control characters: the kernel takes any byte
// from whoever may write a pod's rules, and rules are printed line by line.
bool is_nflog_prefix(std::string_view text);

// The table or chain of that name, nullptr if there is none.
const TableRules* find_table(const Ruleset& ruleset, Table table);
const Chain* find_chain(const TableRules& table, const std::string& name);
Chain* find_chain(TableRules& table, const std::string& name);

// Combines lambdas into one visitor for std::visit.
template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace sluice

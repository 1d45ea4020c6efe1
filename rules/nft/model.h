// SPDX-License-Identifier: GPL-2.0-or-later
// Rule sets as nf_tables holds them: one table of family inet for both families and all of
// iptables' tables, and sets in place of rules that differ in a port or an address only. Pure data;
// rules/kernel/nft writes and reads it, text.h prints it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/ip.h"
#include "rules/rule.h"

namespace sluice::nft {

inline constexpr std::string_view default_table_name = "sluice";

// NFT_NAME_MAXLEN - 1 of kernels before 4.14, and the longest name of a set that to_nft() makes.
inline constexpr std::size_t set_name_limit = 31;
// What nft(8) takes for a comment.
inline constexpr std::size_t comment_limit = 127;
// So many rules may use one set: tcp and udp, for both families. Else a short table could stand for
// rules without end.
inline constexpr std::size_t set_uses_limit = 4;
// So many rules may all uses of sets stand for, both families' together.
inline constexpr std::size_t unfolded_limit = 400'000;

// A set with the flag `interval`. The members of `ports` or, for the addresses of one family,
// `cidrs` are sorted, do not overlap and could not be fewer, but that all ports or addresses are
// two halves (canonical.h). The kernel refuses what overlaps.
struct Set {
  std::string name;
  std::optional<Family> family = std::nullopt;  // nothing: ports (inet_service)
  std::vector<PortRange> ports = {};
  std::vector<Cidr> cidrs = {};

  bool operator==(const Set&) const = default;
};

// A rule of iptables that holds for both families or for one. Where the name of a set is not
// empty, the packet's part must be in it, and `rule` does not say anything of that part:
// source, destination, or the destination port of rule.protocol.
// Of the rule's own family are also the targets that have one: a RejectWithPortUnreachable and the
// address of a Tproxy that is all zeros always say IPv4 here.
// An Opaque in `rule.matches` or `rule.target` is what nobody can translate back. A Tproxy stands
// for two rules of nf_tables, whose `tproxy` lets pass what finds no socket: the second one drops
// it, as iptables' target does. The first one chooses the socket before it sets the mark, so that
// the second one's matches see the packet as it was.
// One thing is not the same: an Owner that is negated matches a packet without a socket in
// iptables, and no packet without one in nf_tables (nft_meta_get_eval_skugid(), NFT_BREAK).
struct Rule {
  std::optional<Family> family = std::nullopt;
  sluice::Rule rule = {};
  std::string source_set = {};
  std::string destination_set = {};
  std::string port_set = {};
  // Up to comment_limit bytes, never what a tenant wrote; not compared.
  std::string comment = {};

  bool operator==(const Rule& other) const {
    return family == other.family && rule == other.rule && source_set == other.source_set &&
           destination_set == other.destination_set && port_set == other.port_set;
  }
};

// A chain by its names in iptables. A built-in one is a base chain and is only there if it has
// rules: type nat in nat, route in mangle's OUTPUT, else filter; priorities -300, -150, -100 (nat's
// INPUT and POSTROUTING: 100) and 0; policy accept.
struct Chain {
  sluice::Table table = sluice::Table::nat;
  std::string name;
  std::vector<Rule> rules = {};

  bool operator==(const Chain&) const = default;
};

struct Table {
  std::string name = std::string(default_table_name);
  std::vector<Set> sets = {};
  std::vector<Chain> chains = {};

  bool operator==(const Table&) const = default;
};

// What the chain is called in the one table that holds all of iptables' tables: nat's own chains as
// users know them, "ISTIO_OUTPUT", those of the others with the table behind them,
// "ISTIO_OUTPUT-mangle"; built-in chains by their hook, "output-nat".
std::string chain_name(sluice::Table table, std::string_view chain);

struct ChainNames {
  sluice::Table table = sluice::Table::nat;
  std::string chain;

  bool operator==(const ChainNames&) const = default;
};
// The other way round. A name that is not of that form is an own chain of nat's, with "-nat" behind
// it if iptables has a built-in chain of that name: it is none.
ChainNames parse_chain_name(std::string_view name);

// Whether they are names that to_nft() gives: one of ours (chains.h), or a built-in chain's.
bool is_written(const ChainNames& names);

// Whether nft(8) reads the name without quotes, wherever it stands: letters, digits and "_.-", a
// letter first.
bool is_identifier(std::string_view name);

// Whether the name can be a table's in the network configuration: an identifier of at most 31.
bool is_table_name(std::string_view name);

}  // namespace sluice::nft

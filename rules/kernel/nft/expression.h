// SPDX-License-Identifier: GPL-2.0-or-later
// nf_tables' expressions, the instructions that a rule is made of, as plain comparable data.
// Members are the attributes of <linux/netfilter/nf_tables.h>; keys, operators and flags are its
// numbers. Values are as they stand in registers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rules/kernel/nft/bytes.h"

namespace sluice::kernel::nft::expr {

// NFT_REG_1 and NFT_REG_2, all that nft(8) needs for rules like ours. 0 is the verdict, and where
// an expression may do without a register.
using Register = std::uint32_t;

// enum nft_meta_keys and the register it is loaded into, or set from.
struct Meta {
  std::uint32_t key = 0;
  Register reg = 0;
  bool set = false;

  bool operator==(const Meta&) const = default;
};

// Loads bytes of the packet; enum nft_payload_bases.
struct Payload {
  std::uint32_t base = 0;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  Register reg = 0;

  bool operator==(const Payload&) const = default;
};

// enum nft_cmp_ops.
struct Cmp {
  std::uint32_t op = 0;
  Register reg = 0;
  Bytes data;

  bool operator==(const Cmp&) const = default;
};

// enum nft_range_ops; both ends belong to it.
struct Range {
  std::uint32_t op = 0;
  Register reg = 0;
  Bytes first;
  Bytes last;

  bool operator==(const Range&) const = default;
};

// (source & mask) ^ value.
struct Bitwise {
  Register source = 0;
  Register destination = 0;
  Bytes mask;
  Bytes value;

  bool operator==(const Bitwise&) const = default;
};

// enum nft_byteorder_ops.
struct Byteorder {
  std::uint32_t op = 0;
  Register source = 0;
  Register destination = 0;
  std::uint32_t length = 0;
  std::uint32_t size = 0;

  bool operator==(const Byteorder&) const = default;
};

// Whether a register is in a set of the same table.
struct Lookup {
  std::string set;
  Register reg = 0;
  bool inverted = false;

  bool operator==(const Lookup&) const = default;
};

// enum nft_ct_keys.
struct Ct {
  std::uint32_t key = 0;
  Register reg = 0;
  bool set = false;

  bool operator==(const Ct&) const = default;
};

// enum nft_verdicts and the kernel's NF_DROP and NF_ACCEPT; a chain only where it jumps.
struct Verdict {
  std::int32_t code = 0;
  std::string chain;

  bool operator==(const Verdict&) const = default;
};

// Sets a register other than the verdict's.
struct Immediate {
  Register reg = 0;
  Bytes data;

  bool operator==(const Immediate&) const = default;
};

// What it has counted is nobody's business here.
struct Counter {
  bool operator==(const Counter&) const = default;
};

// The port's register; NF_NAT_RANGE_* of <linux/netfilter/nf_nat.h>.
struct Redir {
  Register port = 0;
  std::uint32_t flags = 0;

  bool operator==(const Redir&) const = default;
};

// enum nft_reject_types; the code counts for all types but NFT_REJECT_TCP_RST.
struct Reject {
  std::uint32_t type = 0;
  std::uint8_t code = 0;

  bool operator==(const Reject&) const = default;
};

// NFPROTO_*.
struct Tproxy {
  std::uint32_t family = 0;
  Register address = 0;
  Register port = 0;

  bool operator==(const Tproxy&) const = default;
};

// To nfnetlink_log.
struct Log {
  std::uint16_t group = 0;
  std::string prefix;

  bool operator==(const Log&) const = default;
};

// `rate` packets in `unit` seconds; enum nft_limit_type is NFT_LIMIT_PKTS, no flags.
struct Limit {
  std::uint64_t rate = 0;
  std::uint64_t unit = 0;
  std::uint32_t burst = 0;

  bool operator==(const Limit&) const = default;
};

// What has no place above: its name and its attributes. Never written.
struct Unknown {
  std::string name;
  Bytes attributes;

  bool operator==(const Unknown&) const = default;
};

}  // namespace sluice::kernel::nft::expr

namespace sluice::kernel::nft {

using Expression =
    std::variant<expr::Meta, expr::Payload, expr::Cmp, expr::Range, expr::Bitwise, expr::Byteorder,
                 expr::Lookup, expr::Ct, expr::Verdict, expr::Immediate, expr::Counter, expr::Redir,
                 expr::Reject, expr::Tproxy, expr::Log, expr::Limit, expr::Unknown>;
using Expressions = std::vector<Expression>;

// The kernel's limit, NFT_RULE_MAXEXPRS.
inline constexpr std::size_t most_expressions = 128;

// The kernel's name of it: "meta", "immediate".
std::string_view name_of(const Expression& expression);

// The value of NFTA_RULE_EXPRESSIONS. Throws Error for an Unknown.
Bytes write_expressions(const Expressions& expressions);

// The other way round. What the structures above do not hold whole is Unknown; where not even its
// name can be told, it has none.
Expressions read_expressions(View attributes);

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
// A table with all that is in it as nf_tables holds it, as plain comparable data. Read from the
// kernel's messages (dump.h) and written as such (batch.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rules/kernel/nft/bytes.h"
#include "rules/kernel/nft/expression.h"

namespace sluice::kernel::nft {

struct RuleObject {
  Expressions expressions = {};
  Bytes user_data = {};  // libnftnl's: the comment

  bool operator==(const RuleObject&) const = default;
};

// What makes a chain a base chain. Numbers are NF_INET_* and NF_ACCEPT, NF_DROP.
struct Hook {
  std::uint32_t number = 0;
  std::int32_t priority = 0;
  std::string type = {};
  std::uint32_t policy = 0;
  // Bound to a device, or to be done by hardware. Never written.
  bool special = false;

  bool operator==(const Hook&) const = default;
};

struct ChainObject {
  std::string name;
  std::optional<Hook> hook = std::nullopt;
  std::vector<RuleObject> rules = {};

  bool operator==(const ChainObject&) const = default;
};

// An end is exclusive.
struct ElementObject {
  Bytes key;
  bool end = false;

  bool operator==(const ElementObject&) const = default;
};

struct SetObject {
  std::string name;
  std::uint32_t flags = 0;     // NFT_SET_*
  std::uint32_t key_type = 0;  // nft(8)'s number: 7 ipv4_addr, 8 ipv6_addr, 13 inet_service
  std::uint32_t key_length = 0;
  // Something that has no member here, in the set or in one of its elements: timeouts, data,
  // expressions. Never written.
  bool special = false;
  std::vector<ElementObject> elements = {};

  bool operator==(const SetObject&) const = default;
};

struct TableObject {
  std::string name;
  std::uint32_t flags = 0;  // NFT_TABLE_F_*
  std::vector<SetObject> sets = {};
  std::vector<ChainObject> chains = {};

  bool operator==(const TableObject&) const = default;
};

}  // namespace sluice::kernel::nft

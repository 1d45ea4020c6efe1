// SPDX-License-Identifier: GPL-2.0-or-later
// The expressions that nft(8) makes of one relation of a rule: something is loaded into register 1,
// masked and compared.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "rules/kernel/nft/expression.h"

namespace sluice::kernel::nft {

// enum nft_meta_keys.
struct MetaField {
  std::uint32_t key = 0;

  bool operator==(const MetaField&) const = default;
};

// enum nft_ct_keys.
struct CtField {
  std::uint32_t key = 0;

  bool operator==(const CtField&) const = default;
};

// `length` bytes of the network or transport header, enum nft_payload_bases.
struct HeaderField {
  std::uint32_t base = 0;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;

  bool operator==(const HeaderField&) const = default;
};

using Field = std::variant<MetaField, CtField, HeaderField>;

struct Comparison {
  Field field;
  Bytes mask = {};             // empty: none
  bool network_order = false;  // a number of the host's that is turned round first
  // Either the set, or one value, or first to last. In the byte order of the register.
  std::string set = {};
  Bytes first = {};
  std::optional<Bytes> last = std::nullopt;
  bool negated = false;

  bool operator==(const Comparison&) const = default;
};

void append(Expressions& expressions, const Comparison& comparison);

// The relation at `position`, which then is behind it; nothing, and `position` stays, if none
// stands there.
std::optional<Comparison> take_comparison(const Expressions& expressions, std::size_t& position);

// Leaves out each load of what the relation before it has loaded already and compared with one
// value: fewer expressions than nft(8) makes, for a rule that would have too many. The same to the
// kernel.
void share_loads(Expressions& expressions);

// The same rule with a load for each relation: undoes share_loads() and takes apart what nft(8)
// compares at once, a source and a destination port.
Expressions spelled_out(const Expressions& expressions);

// The next expression if it is of this kind; `position` then is behind it.
template <class T>
const T* take(const Expressions& expressions, std::size_t& position) {
  if (position >= expressions.size()) return nullptr;
  const T* found = std::get_if<T>(&expressions[position]);
  if (found != nullptr) ++position;
  return found;
}

}  // namespace sluice::kernel::nft

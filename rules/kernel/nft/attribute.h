// SPDX-License-Identifier: GPL-2.0-or-later
// Netlink attributes (struct nlattr of <linux/netlink.h>): a length, a type and a value, which may
// be attributes again. Numbers are in network byte order, as nf_tables has them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/kernel/nft/bytes.h"

namespace sluice::kernel::nft {

// Appends attributes to a message.
class AttributeWriter {
 public:
  // `bytes` must outlive the writer.
  explicit AttributeWriter(Bytes& bytes) : bytes_(bytes) {}

  // Throw Error (EMSGSIZE) for a value that is longer than an attribute can be (64 KiB).
  void put(unsigned type, View value);
  void put_u8(unsigned type, std::uint8_t value) { put(type, network_order(value, 1)); }
  void put_u16(unsigned type, std::uint16_t value) { put(type, network_order(value, 2)); }
  void put_u32(unsigned type, std::uint32_t value) { put(type, network_order(value, 4)); }
  void put_u64(unsigned type, std::uint64_t value) { put(type, network_order(value, 8)); }
  // With a NUL behind it.
  void put_string(unsigned type, std::string_view value);

  // What is put between the two is the value of one attribute.
  std::size_t begin(unsigned type);
  void end(std::size_t begun);

 private:
  Bytes& bytes_;
};

struct Attribute {
  unsigned type = 0;  // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
  View value;
};

// The attributes in `bytes` in their order; nothing if a length is wrong.
std::optional<std::vector<Attribute>> read_attributes(View bytes);

// Attributes each of which is there at most once.
class AttributeSet {
 public:
  // Nothing if a length is wrong, if one is there twice, or if one is not of the types `known`.
  static std::optional<AttributeSet> read(View bytes, std::initializer_list<unsigned> known);
  // Those of types that are not `known` are left out.
  static std::optional<AttributeSet> read_some(View bytes, std::initializer_list<unsigned> known);

  bool has(unsigned type) const { return values_.at(type).has_value(); }
  // Nothing if it is not there or has another size.
  std::optional<View> value(unsigned type) const { return values_.at(type); }
  std::optional<std::uint32_t> u8(unsigned type) const { return number(type, 1); }
  std::optional<std::uint32_t> u16(unsigned type) const { return number(type, 2); }
  std::optional<std::uint32_t> u32(unsigned type) const { return number(type, 4); }
  std::optional<std::uint64_t> u64(unsigned type) const;
  // Up to its first NUL.
  std::optional<std::string> string(unsigned type) const;

 private:
  static constexpr std::size_t types = 32;  // more than any enum of nf_tables has

  static std::optional<AttributeSet> read(View bytes, std::initializer_list<unsigned> known,
                                          bool strict);
  std::optional<std::uint32_t> number(unsigned type, std::size_t size) const;

  std::array<std::optional<View>, types> values_{};
};

}  // namespace sluice::kernel::nft

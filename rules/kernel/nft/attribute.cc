// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/attribute.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include <linux/netlink.h>

#include "rules/error.h"

namespace sluice::kernel::nft {
namespace {

constexpr std::size_t alignment = NLA_ALIGNTO;
constexpr std::size_t header_size = sizeof(nlattr);

std::size_t aligned(std::size_t size) {
  return (size + alignment - 1) / alignment * alignment;
}

}  // namespace

void AttributeWriter::put(unsigned type, View value) {
  const std::size_t begun = begin(type);
  // begin() says that attributes follow.
  bytes_.at(begun + 2) = static_cast<std::uint8_t>(type);
  bytes_.at(begun + 3) = 0;
  bytes_.insert(bytes_.end(), value.begin(), value.end());
  end(begun);
}

void AttributeWriter::put_string(unsigned type, std::string_view value) {
  Bytes bytes(value.begin(), value.end());
  bytes.push_back(0);
  put(type, bytes);
}

std::size_t AttributeWriter::begin(unsigned type) {
  const std::size_t begun = bytes_.size();
  const nlattr header{.nla_len = 0, .nla_type = static_cast<std::uint16_t>(type | NLA_F_NESTED)};
  bytes_.resize(begun + header_size);
  std::memcpy(&bytes_.at(begun), &header, sizeof header);
  return begun;
}

void AttributeWriter::end(std::size_t begun) {
  const std::size_t size = bytes_.size() - begun;
  if (size > std::numeric_limits<std::uint16_t>::max()) {
    throw Error(EMSGSIZE, "prepare a netlink attribute of " + std::to_string(size) + " bytes");
  }
  const auto length = static_cast<std::uint16_t>(size);
  std::memcpy(&bytes_.at(begun), &length, sizeof length);
  bytes_.resize(begun + aligned(size));
}

std::optional<std::vector<Attribute>> read_attributes(View bytes) {
  std::vector<Attribute> all;
  while (!bytes.empty()) {
    nlattr header{};
    if (bytes.size() < sizeof header) return std::nullopt;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.nla_len < header_size || header.nla_len > bytes.size()) return std::nullopt;
    all.push_back({.type = static_cast<unsigned>(header.nla_type & NLA_TYPE_MASK),
                   .value = bytes.subspan(header_size, header.nla_len - header_size)});
    bytes = bytes.subspan(std::min(bytes.size(), aligned(header.nla_len)));
  }
  return all;
}

std::optional<AttributeSet> AttributeSet::read(View bytes, std::initializer_list<unsigned> known) {
  return read(bytes, known, true);
}

std::optional<AttributeSet> AttributeSet::read_some(View bytes,
                                                    std::initializer_list<unsigned> known) {
  return read(bytes, known, false);
}

std::optional<AttributeSet> AttributeSet::read(View bytes, std::initializer_list<unsigned> known,
                                               bool strict) {
  const std::optional<std::vector<Attribute>> all = read_attributes(bytes);
  if (!all) return std::nullopt;
  AttributeSet set;
  for (const Attribute& attribute : *all) {
    if (std::find(known.begin(), known.end(), attribute.type) == known.end()) {
      if (strict) return std::nullopt;
      continue;
    }
    std::optional<View>& value = set.values_.at(attribute.type);
    if (value) return std::nullopt;
    value = attribute.value;
  }
  return set;
}

std::optional<std::uint32_t> AttributeSet::number(unsigned type, std::size_t size) const {
  const std::optional<View>& value = values_.at(type);
  if (!value || value->size() != size) return std::nullopt;
  return static_cast<std::uint32_t>(from_network_order(*value));
}

std::optional<std::uint64_t> AttributeSet::u64(unsigned type) const {
  const std::optional<View>& value = values_.at(type);
  if (!value || value->size() != sizeof(std::uint64_t)) return std::nullopt;
  return from_network_order(*value);
}

std::optional<std::string> AttributeSet::string(unsigned type) const {
  const std::optional<View>& value = values_.at(type);
  if (!value) return std::nullopt;
  return std::string(value->begin(), std::find(value->begin(), value->end(), 0));
}

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace sluice::kernel::nft {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

// The lowest `size` bytes of a number in network byte order, as packets and most of netlink's
// attributes hold it.
inline Bytes network_order(std::uint64_t number, std::size_t size) {
  Bytes bytes(size);
  for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte, number >>= 8U) {
    *byte = static_cast<std::uint8_t>(number & 0xffU);
  }
  return bytes;
}
inline std::uint64_t from_network_order(View bytes) {
  std::uint64_t number = 0;
  for (const std::uint8_t byte : bytes) number = (number << 8U) | byte;
  return number;
}

// As the kernel's own fields stand in its registers: marks, IDs, zones.
template <class T>
Bytes host_order(T number) {
  static_assert(std::is_unsigned_v<T>);
  Bytes bytes(sizeof number);
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}
// `bytes` must be of the number's size.
template <class T>
T from_host_order(View bytes) {
  static_assert(std::is_unsigned_v<T>);
  T number{};
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

// Lower case, without a prefix.
inline std::string hexadecimal(View bytes) {
  constexpr std::array<char, 17> digits{"0123456789abcdef"};
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += digits.at(byte >> 4U);
    text += digits.at(byte & 0xfU);
  }
  return text;
}

}  // namespace sluice::kernel::nft

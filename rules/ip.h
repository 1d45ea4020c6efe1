// SPDX-License-Identifier: GPL-2.0-or-later
// Addresses, prefixes and port ranges: parse, format, compare. Pure; no name is ever looked up.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

enum class Family : std::uint8_t { ipv4, ipv6 };
inline constexpr std::array<Family, 2> families{Family::ipv4, Family::ipv6};

// An IPv4 or IPv6 address, network byte order; IPv4 uses the first four bytes, the rest are zero.
struct IpAddress {
  Family family = Family::ipv4;
  std::array<std::uint8_t, 16> bytes{};

  auto operator<=>(const IpAddress&) const = default;
};

// A prefix. The host bits of `address` are zero, as the kernel matches it and iptables prints it.
struct Cidr {
  IpAddress address;
  std::uint8_t length = 0;

  auto operator<=>(const Cidr&) const = default;
};

// first <= last, both 1 to 65535 when they come from parse_port_range; host byte order.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;

  auto operator<=>(const PortRange&) const = default;
};

// Number of bits of an address of `family`: 32 or 128.
std::uint8_t address_bits(Family family);

// Dotted decimal without leading zeros, or RFC 4291 text without a zone (inet_pton(3)).
// Throws Error naming the text.
IpAddress parse_address(std::string_view text);
std::string to_string(const IpAddress& address);

// "10.0.0.0/8", "fd00::/8". A missing mask, a mask that is no plain decimal number and one that
// is too long for the family are refused; host bits are cleared, as iptables(8) does.
// Throws Error naming the text.
Cidr parse_cidr(std::string_view text);
std::string to_string(const Cidr& cidr);

// The prefix of `length` bits that holds `address`. `length` must not exceed address_bits.
Cidr make_cidr(const IpAddress& address, std::uint8_t length);

// "80" or "8000-8100", 1 to 65535, first not above last. Throws Error naming the text.
PortRange parse_port_range(std::string_view text);
// One port that is no range, 1 to 65535. Throws Error naming the text.
std::uint16_t parse_port(std::string_view text);

// A plain decimal number up to `limit`: digits only, at least one. Throws Error that calls it
// `what` ("port", "UID") and names the text.
std::uint64_t parse_decimal(std::string_view text, std::uint64_t limit, std::string_view what);

// 127.0.0.0/8 or ::1.
bool is_loopback(const IpAddress& address);
// 169.254.0.0/16 or fe80::/10.
bool is_link_local(const IpAddress& address);
// 224.0.0.0/4 or ff00::/8.
bool is_multicast(const IpAddress& address);
// The prefix lies within 127.0.0.0/8, or is ::1/128.
bool is_loopback(const Cidr& cidr);

}  // namespace sluice

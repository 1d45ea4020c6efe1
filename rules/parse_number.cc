// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <charconv>

#include "rules/parse_list.h"

namespace sluice {
namespace {

constexpr std::uint64_t highest_number = 0xffffffff;
constexpr std::uint8_t shortest_loopback = 8;  // 127.0.0.0/8

std::uint64_t parse_hexadecimal(std::string_view text, std::string_view what) {
  const std::string_view digits = text.substr(2);
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(digits.begin(), digits.end(), value, 16);
  if (digits.empty() || end != digits.end() || failure == std::errc::invalid_argument) {
    throw Error(std::string(what) + " " + quote(text) + " is not a hexadecimal number");
  }
  if (failure == std::errc::result_out_of_range || value > highest_number) {
    throw Error(std::string(what) + " " + quote(text) + " is above 0xffffffff");
  }
  return value;
}

// 1 to 0xffffffff.
std::uint32_t parse_number(std::string_view text, std::string_view what) {
  const bool hexadecimal = text.substr(0, 2) == "0x" || text.substr(0, 2) == "0X";
  const std::uint64_t number =
      hexadecimal ? parse_hexadecimal(text, what) : parse_decimal(text, highest_number, what);
  if (number == 0) throw Error(std::string(what) + " " + quote(text) + " is below 1");
  return static_cast<std::uint32_t>(number);
}

bool is_unspecified(const IpAddress& address) {
  return std::all_of(address.bytes.begin(), address.bytes.end(),
                     [](auto byte) { return byte == 0; });
}

// RFC 4291 2.5.5.2: ten bytes of zeros, two of ones, the IPv4 address.
IpAddress without_mapping(const IpAddress& address) {
  constexpr std::array<std::uint8_t, 12> prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const auto& bytes = address.bytes;
  if (address.family == Family::ipv4 || !std::equal(prefix.begin(), prefix.end(), bytes.begin())) {
    return address;
  }
  IpAddress mapped{.family = Family::ipv4};
  std::copy(bytes.begin() + prefix.size(), bytes.end(), mapped.bytes.begin());
  return mapped;
}

}  // namespace

std::uint32_t parse_mark(std::string_view text) {
  const std::uint32_t mark = parse_number(text, "mark");
  if (mark == outbound_mark) {
    throw Error("mark " + quote(text) + " is that of the sidecar's own calls");
  }
  return mark;
}

std::uint32_t parse_routing_table(std::string_view text) {
  const std::uint32_t table = parse_number(text, "routing table");
  if (table >= 253 && table <= 255) {
    throw Error("routing table " + quote(text) + " is one of the kernel's own");
  }
  return table;
}

IpAddress parse_resolver(std::string_view text) {
  const std::size_t percent = text.find('%');
  IpAddress address = parse_address(text.substr(0, percent));
  if (percent != std::string_view::npos) {
    if (address.family == Family::ipv4) throw Error(quote(text) + " is not an IP address");
    const std::vector<std::string> zone = parse_interfaces(text.substr(percent + 1));
    if (zone.size() != 1) throw Error("the zone of " + quote(text) + " is not an interface");
  }
  address = without_mapping(address);
  if (is_unspecified(address) || is_multicast(address)) {
    throw Error(quote(text) + " cannot be a resolver's address");
  }
  return address;
}

std::vector<IpAddress> parse_resolvers(std::string_view text) {
  return parse_list(text, [](std::string_view element) {
    refuse_wildcard(element);
    return parse_resolver(element);
  });
}

Cidr parse_ipv4_loopback(std::string_view text) {
  const Cidr cidr = parse_cidr(text);
  if (cidr.address.family != Family::ipv4 || cidr.address.bytes[0] != 127 ||
      cidr.length < shortest_loopback) {
    throw Error(quote(text) + " is not within 127.0.0.0/8");
  }
  return cidr;
}

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>

#include "rules/error.h"

namespace sluice {
namespace {

constexpr std::uint64_t highest_port = 65535;

int socket_family(Family family) {
  return family == Family::ipv4 ? AF_INET : AF_INET6;
}

std::optional<IpAddress> try_parse_address(std::string_view text) {
  // inet_pton(3) takes a C string: a NUL inside would hide what follows it.
  if (text.empty() || text.size() >= INET6_ADDRSTRLEN ||
      text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  IpAddress address;
  address.family = text.find(':') == std::string_view::npos ? Family::ipv4 : Family::ipv6;
  const std::string copy(text);
  if (inet_pton(socket_family(address.family), copy.c_str(), address.bytes.data()) != 1) {
    return std::nullopt;
  }
  return address;
}

}  // namespace

std::uint8_t address_bits(Family family) {
  return family == Family::ipv4 ? 32 : 128;
}

IpAddress parse_address(std::string_view text) {
  const std::optional<IpAddress> address = try_parse_address(text);
  if (!address) throw Error(quote(text) + " is not an IP address");
  return *address;
}

std::string to_string(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(socket_family(address.family), address.bytes.data(), text.data(), text.size());
  return text.data();
}

Cidr make_cidr(const IpAddress& address, std::uint8_t length) {
  Cidr cidr{.address = address, .length = length};
  for (std::size_t i = 0; i < cidr.address.bytes.size(); ++i) {
    const std::size_t kept = std::clamp<std::size_t>(length, i * 8, i * 8 + 8) - i * 8;
    cidr.address.bytes.at(i) &= static_cast<std::uint8_t>(0xff00U >> kept);
  }
  return cidr;
}

Cidr parse_cidr(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    throw Error(quote(text) + " is not a CIDR: the prefix length is missing");
  }
  const std::optional<IpAddress> address = try_parse_address(text.substr(0, slash));
  if (!address) throw Error(quote(text) + " is not a CIDR: the address is ill-formed");
  const std::string_view digits = text.substr(slash + 1);
  const std::uint8_t limit = address_bits(address->family);
  std::uint8_t length = 0;
  const auto [end, failure] = std::from_chars(digits.begin(), digits.end(), length);
  const bool leading_zero = digits.size() > 1 && digits[0] == '0';
  if (failure != std::errc() || end != digits.end() || leading_zero || length > limit) {
    throw Error(quote(text) + " is not a CIDR: the prefix length is not 0 to " +
                std::to_string(limit));
  }
  return make_cidr(*address, length);
}

std::string to_string(const Cidr& cidr) {
  return to_string(cidr.address) + "/" + std::to_string(cidr.length);
}

std::uint64_t parse_decimal(std::string_view text, std::uint64_t limit, std::string_view what) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.begin(), text.end(), value);
  if (text.empty() || end != text.end() || failure == std::errc::invalid_argument) {
    throw Error(std::string(what) + " " + quote(text) + " is not a decimal number");
  }
  if (failure == std::errc::result_out_of_range || value > limit) {
    throw Error(std::string(what) + " " + quote(text) + " is above " + std::to_string(limit));
  }
  return value;
}

std::uint16_t parse_port(std::string_view text) {
  const std::uint64_t port = parse_decimal(text, highest_port, "port");
  if (port == 0) throw Error("port " + quote(text) + " is below 1");
  return static_cast<std::uint16_t>(port);
}

PortRange parse_port_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) {
    const std::uint16_t port = parse_port(text);
    return {.first = port, .last = port};
  }
  PortRange range;
  try {
    range = {.first = parse_port(text.substr(0, dash)), .last = parse_port(text.substr(dash + 1))};
  } catch (const Error& error) {
    throw Error("port range " + quote(text) + ": " + error.what());
  }
  if (range.first > range.last) throw Error("port range " + quote(text) + " is reversed");
  return range;
}

bool is_loopback(const IpAddress& address) {
  if (address.family == Family::ipv4) return address.bytes[0] == 127;
  IpAddress one{.family = Family::ipv6};
  one.bytes[15] = 1;
  return address == one;
}

bool is_link_local(const IpAddress& address) {
  if (address.family == Family::ipv4) return address.bytes[0] == 169 && address.bytes[1] == 254;
  return address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0U) == 0x80;
}

bool is_multicast(const IpAddress& address) {
  if (address.family == Family::ipv4) return (address.bytes[0] & 0xf0U) == 0xe0;
  return address.bytes[0] == 0xff;
}

bool is_loopback(const Cidr& cidr) {
  const std::uint8_t shortest = cidr.address.family == Family::ipv4 ? 8 : 128;
  return cidr.length >= shortest && is_loopback(cidr.address);
}

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/packet.h"

#include <algorithm>
#include <cstddef>

namespace sluice {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t ipv4_header = 20;
constexpr std::size_t ipv6_header = 40;
constexpr std::size_t ports_size = 4;
constexpr std::uint8_t tcp = 6;
constexpr std::uint8_t udp = 17;

std::uint16_t number_at(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>((bytes[at] << 8U) | bytes[at + 1]);
}

IpAddress address_at(Bytes bytes, std::size_t at, Family family) {
  IpAddress address{.family = family, .bytes = {}};
  const Bytes part = bytes.subspan(at, address_bits(family) / 8U);
  std::copy(part.begin(), part.end(), address.bytes.begin());
  return address;
}

// Of a payload that begins with the header of `protocol`.
std::optional<PacketPorts> ports_of(Bytes payload, std::uint8_t protocol) {
  if ((protocol != tcp && protocol != udp) || payload.size() < ports_size) return std::nullopt;
  return PacketPorts{.source = number_at(payload, 0), .destination = number_at(payload, 2)};
}

std::optional<Packet> parse_ipv4(Bytes bytes) {
  if (bytes.size() < ipv4_header) return std::nullopt;
  const std::size_t header = (bytes[0] & 0xfU) * std::size_t{4};
  const std::size_t total = number_at(bytes, 2);
  if (header < ipv4_header || total < header) return std::nullopt;
  Packet packet{.source = address_at(bytes, 12, Family::ipv4),
                .destination = address_at(bytes, 16, Family::ipv4),
                .protocol = bytes[9]};
  const bool first_fragment = (number_at(bytes, 6) & 0x1fffU) == 0;
  bytes = bytes.first(std::min(bytes.size(), total));
  if (first_fragment && bytes.size() >= header) {
    packet.ports = ports_of(bytes.subspan(header), packet.protocol);
  }
  return packet;
}

// The length of an IPv6 extension header of which at least two bytes are there; 0 if it is none.
std::size_t extension_length(Bytes bytes, std::uint8_t type) {
  constexpr std::uint8_t hop_by_hop = 0;
  constexpr std::uint8_t routing = 43;
  constexpr std::uint8_t fragment = 44;
  constexpr std::uint8_t authentication = 51;
  constexpr std::uint8_t destination = 60;
  switch (type) {
    case hop_by_hop:
    case routing:
    case destination:
      return (bytes[1] + std::size_t{1}) * 8;
    case fragment:
      return 8;
    case authentication:
      return (bytes[1] + std::size_t{2}) * 4;
    default:
      return 0;
  }
}

std::optional<Packet> parse_ipv6(Bytes bytes) {
  if (bytes.size() < ipv6_header) return std::nullopt;
  Packet packet{.source = address_at(bytes, 8, Family::ipv6),
                .destination = address_at(bytes, 24, Family::ipv6),
                .protocol = bytes[6]};
  const std::size_t claimed = number_at(bytes, 4);
  bytes = bytes.subspan(ipv6_header);
  // A jumbogram says 0; nobody sees more of it than what is here.
  if (claimed != 0) bytes = bytes.first(std::min(bytes.size(), claimed));
  // Every turn takes at least eight bytes away.
  while (bytes.size() >= 2) {
    const std::size_t length = extension_length(bytes, packet.protocol);
    if (length == 0) break;
    if (bytes.size() < length) return packet;
    constexpr std::uint8_t fragment = 44;
    const bool later_fragment = packet.protocol == fragment && (number_at(bytes, 2) & 0xfff8U) != 0;
    packet.protocol = bytes[0];
    if (later_fragment) return packet;
    bytes = bytes.subspan(length);
  }
  packet.ports = ports_of(bytes, packet.protocol);
  return packet;
}

}  // namespace

std::optional<Packet> parse_packet(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return std::nullopt;
  switch (bytes[0] >> 4U) {
    case 4:
      return parse_ipv4(bytes);
    case 6:
      return parse_ipv6(bytes);
    default:
      return std::nullopt;
  }
}

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
// The headers of an IP packet: RFC 791, RFC 8200, RFC 9293, RFC 768.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "rules/ip.h"

namespace sluice {

struct PacketPorts {
  std::uint16_t source = 0;
  std::uint16_t destination = 0;

  bool operator==(const PacketPorts&) const = default;
};

struct Packet {
  IpAddress source;
  IpAddress destination;
  // IANA's number. Where an IPv6 packet is cut off among its extension headers: that of the header
  // that is missing.
  std::uint8_t protocol = 0;
  // Of TCP and UDP. Nothing for other protocols, later fragments and where they are cut off.
  std::optional<PacketPorts> ports = std::nullopt;

  bool operator==(const Packet&) const = default;
};

// Reads the beginning of a packet, which anybody may have written and which may be cut off
// anywhere. Nothing beyond `bytes` or beyond the length that the packet itself claims is read.
// Nothing if there is no whole IP header.
std::optional<Packet> parse_packet(std::span<const std::uint8_t> bytes);

}  // namespace sluice

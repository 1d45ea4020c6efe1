// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/packet.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

namespace sluice {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Ports = std::optional<PacketPorts>;

constexpr std::uint8_t tcp = 6;
constexpr std::uint8_t udp = 17;
const Bytes ports{0x9c, 0x40, 0x00, 0x50};  // 40000 to 80
const Ports parsed_ports{PacketPorts{.source = 40000, .destination = 80}};

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// A header of 10.0.0.2 to 10.1.2.3, of `words` words, with the length of `payload`.
Bytes ipv4(std::uint8_t protocol, const Bytes& payload, std::uint8_t words = 5,
           std::uint16_t fragment = 0) {
  Bytes header(std::size_t{words} * 4, 0);
  const std::size_t total = header.size() + payload.size();
  header[0] = static_cast<std::uint8_t>(0x40 | words);
  header[2] = static_cast<std::uint8_t>(total >> 8U);
  header[3] = static_cast<std::uint8_t>(total);
  header[6] = static_cast<std::uint8_t>(fragment >> 8U);
  header[7] = static_cast<std::uint8_t>(fragment);
  header[9] = protocol;
  const Bytes addresses{10, 0, 0, 2, 10, 1, 2, 3};
  std::copy(addresses.begin(), addresses.end(), header.begin() + 12);
  return header + payload;
}

// A header of fd00::2 to fd00::3.
Bytes ipv6(std::uint8_t next, const Bytes& payload) {
  Bytes header(40, 0);
  header[0] = 0x60;
  header[4] = static_cast<std::uint8_t>(payload.size() >> 8U);
  header[5] = static_cast<std::uint8_t>(payload.size());
  header[6] = next;
  header[8] = header[24] = 0xfd;
  header[23] = 2;
  header[39] = 3;
  return header + payload;
}

// On the heap and of exactly this size: the sanitizers see what is read beyond it.
std::optional<Packet> parse(const Bytes& bytes, std::size_t size) {
  const auto copy = std::make_unique<std::uint8_t[]>(size);
  std::copy_n(bytes.begin(), size, copy.get());
  return parse_packet({copy.get(), size});
}

std::optional<Packet> parse(const Bytes& bytes) {
  return parse(bytes, bytes.size());
}

Ports ports_in(const Bytes& bytes) {
  const std::optional<Packet> packet = parse(bytes);
  REQUIRE(packet);
  return packet->ports;
}

TEST_CASE("packet: addresses, protocol and ports of both families", "[packet]") {
  for (const std::uint8_t protocol : {tcp, udp}) {
    CHECK(parse(ipv4(protocol, ports)) == Packet{.source = parse_address("10.0.0.2"),
                                                 .destination = parse_address("10.1.2.3"),
                                                 .protocol = protocol,
                                                 .ports = parsed_ports});
    CHECK(parse(ipv6(protocol, ports)) == Packet{.source = parse_address("fd00::2"),
                                                 .destination = parse_address("fd00::3"),
                                                 .protocol = protocol,
                                                 .ports = parsed_ports});
  }
  for (const std::uint8_t protocol : Bytes{1, 50, 58, 132, 255}) {
    CHECK(ports_in(ipv4(protocol, ports)) == Ports{});
    CHECK(ports_in(ipv6(protocol, ports)) == Ports{});
    CHECK(parse(ipv6(protocol, ports))->protocol == protocol);
  }
}

TEST_CASE("packet: IPv4 options are skipped", "[packet]") {
  CHECK(ports_in(ipv4(tcp, ports, 6)) == parsed_ports);
  CHECK(ports_in(ipv4(tcp, ports, 15)) == parsed_ports);
}

TEST_CASE("packet: IPv6 extension headers are skipped", "[packet]") {
  const auto extension = [](std::uint8_t next, std::uint8_t length, std::size_t size) {
    Bytes header(size, 0);
    header[0] = next;
    header[1] = length;
    return header;
  };
  for (const std::uint8_t type : Bytes{0, 43, 60}) {
    CAPTURE(static_cast<int>(type));
    CHECK(ports_in(ipv6(type, extension(tcp, 0, 8) + ports)) == parsed_ports);
    CHECK(ports_in(ipv6(type, extension(tcp, 2, 24) + ports)) == parsed_ports);
    // It claims to be longer than the packet.
    const Bytes cut = ipv6(type, extension(tcp, 255, 8) + ports);
    CHECK(ports_in(cut) == Ports{});
    CHECK(parse(cut)->protocol == type);
  }
  CHECK(ports_in(ipv6(51, extension(udp, 4, 24) + ports)) == parsed_ports);
  CHECK(ports_in(ipv6(44, extension(udp, 9, 8) + ports)) == parsed_ports);
  CHECK(ports_in(ipv6(0, extension(60, 0, 8) + extension(44, 0, 8) + extension(tcp, 0, 8) +
                             ports)) == parsed_ports);
  // Behind "no next header" there is nothing.
  CHECK(ports_in(ipv6(59, extension(tcp, 0, 8) + ports)) == Ports{});
}

TEST_CASE("packet: later fragments have no ports", "[packet]") {
  CHECK(ports_in(ipv4(tcp, ports, 5, 0x2000)) == parsed_ports);  // the first of several
  CHECK(ports_in(ipv4(tcp, ports, 5, 0x4000)) == parsed_ports);  // do not fragment
  CHECK(ports_in(ipv4(tcp, ports, 5, 0x0001)) == Ports{});
  CHECK(ports_in(ipv4(tcp, ports, 5, 0x1fff)) == Ports{});
  const Bytes first{tcp, 0, 0, 1, 0, 0, 0, 0};
  const Bytes later{tcp, 0, 0, 8, 0, 0, 0, 0};
  CHECK(ports_in(ipv6(44, first + ports)) == parsed_ports);
  CHECK(ports_in(ipv6(44, later + ports)) == Ports{});
  CHECK(parse(ipv6(44, later + ports))->protocol == tcp);
}

TEST_CASE("packet: what is cut off is not read", "[packet]") {
  for (const Bytes& whole :
       {ipv4(tcp, ports, 7), ipv6(udp, ports),
        ipv6(0, Bytes{60, 0, 0, 0, 0, 0, 0, 0} + Bytes{tcp, 0, 0, 0, 0, 0, 0, 0} + ports)}) {
    const std::size_t header = whole[0] == 0x60 ? 40 : 20;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(whole[0], size);
      const std::optional<Packet> packet = parse(whole, size);
      CHECK(packet.has_value() == (size >= header));
      if (packet) CHECK(packet->ports == Ports{});
    }
  }
}

TEST_CASE("packet: nothing is read beyond the length that it claims", "[packet]") {
  Bytes packet = ipv4(tcp, {});
  CHECK(ports_in(packet + ports) == Ports{});
  packet = ipv6(tcp, Bytes{1, 2, 3});
  CHECK(ports_in(packet + ports) == Ports{});
  // A jumbogram claims none.
  packet = ipv6(tcp, {});
  CHECK(ports_in(packet + ports) == parsed_ports);
}

TEST_CASE("packet: lengths that cannot be are refused", "[packet]") {
  Bytes packet = ipv4(tcp, ports);
  for (const std::uint8_t words : Bytes{0, 1, 4}) {
    packet[0] = static_cast<std::uint8_t>(0x40 | words);
    CHECK(parse(packet) == std::optional<Packet>{});
  }
  packet = ipv4(tcp, ports);
  packet[0] = 0x4f;  // a header longer than the packet
  CHECK(parse(packet) == std::optional<Packet>{});
  packet = ipv4(tcp, ports);
  packet[3] = 19;
  CHECK(parse(packet) == std::optional<Packet>{});
  for (const std::uint8_t version : Bytes{0, 1, 5, 7, 15}) {
    packet = ipv6(tcp, ports);
    packet[0] = static_cast<std::uint8_t>(version << 4U);
    CHECK(parse(packet) == std::optional<Packet>{});
  }
}

}  // namespace
}  // namespace sluice

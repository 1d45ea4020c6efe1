// SPDX-License-Identifier: GPL-2.0-or-later
// Reports of rules that iptables-legacy wrote, of packets that this test sends.
#include "rules/kernel/nflog.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <linux/capability.h>

#include "rules/error.h"
#include "tests/kernel/refusal.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

constexpr std::uint16_t group = 1337;

void add_rule(const TestNetns& netns, const std::string& tool, const std::string& chain,
              const std::string& prefix) {
  netns.must({tool, "-A", chain, "-p", "udp", "--dport", "53", "-j", "NFLOG", "--nflog-group",
              std::to_string(group), "--nflog-prefix", prefix});
}

// From port 4000 to port 53 of the same address, in the calling thread's namespace.
void send_datagrams(const IpAddress& address, int count = 1, std::size_t size = 1) {
  const bool ipv4 = address.family == Family::ipv4;
  sockaddr_in6 name6{};
  name6.sin6_family = AF_INET6;
  std::memcpy(&name6.sin6_addr, address.bytes.data(), sizeof name6.sin6_addr);
  sockaddr_in name4{};
  name4.sin_family = AF_INET;
  std::memcpy(&name4.sin_addr, address.bytes.data(), sizeof name4.sin_addr);
  const Fd socket(::socket(ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto named = [&](std::uint16_t port, auto call) {
    name4.sin_port = name6.sin6_port = htons(port);
    return ipv4 ? call(reinterpret_cast<const sockaddr*>(&name4), socklen_t{sizeof name4})
                : call(reinterpret_cast<const sockaddr*>(&name6), socklen_t{sizeof name6});
  };
  REQUIRE(named(4000, [&](auto... name) { return bind(socket.get(), name...); }) == 0);
  const std::string data(size, 'x');
  for (int i = 0; i < count; ++i) {
    // Nobody listens: whether it arrives does not matter, only that it went through the hooks.
    static_cast<void>(named(53, [&](auto... name) {
      return sendto(socket.get(), data.data(), data.size(), 0, name...);
    }));
  }
}

// Waits for the next reports, at most five seconds.
NflogSocket::Received next(NflogSocket& socket) {
  pollfd ready{.fd = socket.fd(), .events = POLLIN, .revents = 0};
  REQUIRE(poll(&ready, 1, 5000) == 1);
  return socket.receive();
}

Report next_report(NflogSocket& socket) {
  const NflogSocket::Received received = next(socket);
  REQUIRE(received.reports.size() == 1);
  CHECK_FALSE(received.lost);
  return received.reports.front();
}

Packet expected_packet(const std::string& address) {
  return {.source = parse_address(address),
          .destination = parse_address(address),
          .protocol = 17,
          .ports = PacketPorts{.source = 4000, .destination = 53}};
}

TEST_CASE("a report has the rule's prefix, the interface, the user and the packet") {
  const TestNetns netns;
  netns.must({"ip", "link", "set", "lo", "up"});
  for (const char* tool : {"iptables-legacy", "ip6tables-legacy"}) {
    add_rule(netns, tool, "OUTPUT", "sluice: out");
    add_rule(netns, tool, "INPUT", "other");
  }
  netns.inside([] {
    NflogSocket socket(group);
    CHECK(socket.receive().reports.empty());
    for (const char* address : {"127.0.0.1", "::1"}) {
      INFO(address);
      send_datagrams(parse_address(address), 1, 1000);
      const Report sent = next_report(socket);
      CHECK(sent.prefix == "sluice: out");
      CHECK(sent.in.empty());
      CHECK(sent.out == "lo");
      CHECK(sent.uid == 0U);
      CHECK(sent.gid == 0U);
      CHECK(sent.packet == expected_packet(address));
      const Report received = next_report(socket);
      CHECK(received.prefix == "other");
      CHECK(received.in == "lo");
      CHECK(received.out.empty());
      CHECK(received.packet == expected_packet(address));
    }
  });
}

TEST_CASE("a report comes with every byte of its prefix") {
  const TestNetns netns;
  netns.must({"ip", "link", "set", "lo", "up"});
  const std::string longest = "sluice: \x1b[31m\xff\x01" + std::string(48, 'p');
  REQUIRE(longest.size() == 63);
  add_rule(netns, "iptables-legacy", "OUTPUT", longest);
  netns.inside([&] {
    NflogSocket socket(group);
    send_datagrams(parse_address("127.0.0.1"));
    CHECK(next_report(socket).prefix == longest);
  });
}

TEST_CASE("reports of other groups do not come") {
  const TestNetns netns;
  netns.must({"ip", "link", "set", "lo", "up"});
  add_rule(netns, "iptables-legacy", "OUTPUT", "first");
  netns.inside([] {
    NflogSocket other(group + 1);
    NflogSocket socket(group);
    send_datagrams(parse_address("127.0.0.1"));
    CHECK(next_report(socket).prefix == "first");
    CHECK(other.receive().reports.empty());
  });
}

TEST_CASE("reports that nobody reads are lost, and that is told") {
  const TestNetns netns;
  netns.must({"ip", "link", "set", "lo", "up"});
  add_rule(netns, "iptables-legacy", "OUTPUT", "sluice: many");
  netns.inside([] {
    NflogSocket socket(group);
    send_datagrams(parse_address("127.0.0.1"), 20000);
    bool lost = false;
    std::size_t reports = 0;
    for (NflogSocket::Received received = next(socket); received.lost || !received.reports.empty();
         received = socket.receive()) {
      lost = lost || received.lost;
      reports += received.reports.size();
    }
    CHECK(lost);
    CHECK(reports > 0);
    CHECK(reports < 20000);
    // It goes on.
    send_datagrams(parse_address("127.0.0.1"));
    CHECK(next_report(socket).prefix == "sluice: many");
  });
}

std::string failure_of(const std::function<void()>& action) {
  try {
    action();
    return {};
  } catch (const Error& error) {
    return std::to_string(error.code().value()) + " " + error.what();
  }
}

TEST_CASE("a group has one listener, who needs the privilege") {
  const TestNetns netns;
  const std::string refused =
      "1 listen to NFLOG group 1337 (another process may be listening to "
      "it): Operation not permitted";
  netns.inside([&] {
    const NflogSocket first(group);
    CHECK(failure_of([] { NflogSocket second(group); }) == refused);
  });
  netns.inside([&] { CHECK(failure_of([] { NflogSocket again(group); }) == nothing); });
  CHECK(in_child([&] {
          std::string failure;
          netns.inside([&] {
            drop_capability(CAP_NET_ADMIN);
            failure = failure_of([] { NflogSocket weak(group); });
          });
          return failure;
        }) == refused);
}

}  // namespace
}  // namespace sluice::kernel

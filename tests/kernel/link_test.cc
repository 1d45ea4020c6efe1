// SPDX-License-Identifier: GPL-2.0-or-later
// Interfaces and addresses of a namespace, compared with what ip(8) was told to set up.
#include "rules/kernel/link.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rules/kernel/proc.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

// Feeds ip(8) with one command per line.
void ip(const TestNetns& netns, const std::string& commands) {
  netns.must({"ip", "-batch", "-"}, commands);
}

std::optional<Link> link_of(const TestNetns& netns, const std::string& name) {
  std::optional<Link> link;
  netns.inside([&] { link = find_link(name); });
  return link;
}

// As text: the failure's message shows them.
std::vector<std::string> addresses_of(const Link& link) {
  std::vector<std::string> all;
  for (const IpAddress& address : link.addresses) all.push_back(to_string(address));
  return all;
}

using Strings = std::vector<std::string>;

AddressChange add(const TestNetns& netns, const char* cidr) {
  AddressChange change{};
  netns.inside([&] { change = add_loopback_address(parse_cidr(cidr)); });
  return change;
}

AddressChange remove(const TestNetns& netns, const char* cidr) {
  AddressChange change{};
  netns.inside([&] { change = remove_loopback_address(parse_cidr(cidr)); });
  return change;
}

TEST_CASE("lo of a new namespace is down and has no address") {
  const TestNetns netns;
  const std::optional<Link> lo = link_of(netns, "lo");
  REQUIRE(lo);
  CHECK(lo->name == "lo");
  CHECK_FALSE(lo->up);
  CHECK(lo->loopback);
  CHECK(lo->addresses.empty());
  netns.must({"ip", "link", "set", "lo", "up"});
  const std::optional<Link> up = link_of(netns, "lo");
  REQUIRE(up);
  CHECK(up->up);
  CHECK(addresses_of(*up) == Strings{"127.0.0.1", "::1"});
}

TEST_CASE("what is no interface is not found") {
  const TestNetns netns;
  ip(netns, "link add abcdefghijklmno type veth peer name b\n");
  for (const char* name : {"eth0", "l", "LO", "lo ", "abcdefghijklmn", ""}) {
    INFO(name);
    CHECK_FALSE(link_of(netns, name));
  }
  CHECK(link_of(netns, "abcdefghijklmno"));
}

TEST_CASE("an interface is shown with the first IPv4 and all IPv6 addresses, up or down") {
  const TestNetns netns;
  ip(netns,
     "link add eth0 type veth peer name net1\n"
     "link set eth0 addrgenmode none\n"
     "addr add 10.1.2.3/24 dev eth0\n"
     "addr add 10.1.2.4/24 dev eth0\n"
     "addr add 192.168.7.7/32 dev eth0\n"
     "addr add 2001:db8::2/64 dev eth0 nodad\n"
     "addr add fd00::2/128 dev eth0 nodad\n"
     "addr add fe80::2/64 dev eth0 nodad\n"
     "addr add 2001:db8::99/64 dev net1 nodad\n");
  const std::optional<Link> down = link_of(netns, "eth0");
  REQUIRE(down);
  CHECK_FALSE(down->up);
  CHECK_FALSE(down->loopback);
  Strings all = addresses_of(*down);
  REQUIRE_FALSE(all.empty());
  CHECK(all.front() == "10.1.2.3");
  std::sort(all.begin() + 1, all.end());
  CHECK(all == Strings{"10.1.2.3", "2001:db8::2", "fd00::2", "fe80::2"});

  ip(netns, "link set eth0 up\n");
  const std::optional<Link> up = link_of(netns, "eth0");
  REQUIRE(up);
  CHECK(up->up);
  CHECK(up->addresses.size() == 4);
  const std::optional<Link> peer = link_of(netns, "net1");
  REQUIRE(peer);
  CHECK_FALSE(peer->up);
  CHECK(addresses_of(*peer) == Strings{"2001:db8::99"});
}

TEST_CASE("all interfaces are listed") {
  const TestNetns netns;
  ip(netns,
     "link add eth0 type veth peer name net1\n"
     "link add a-name.with_15b type veth peer name z\n"
     "addr add 10.0.0.1/8 dev z\n"
     "link set z up\n");
  std::vector<Link> links;
  netns.inside([&] { links = list_links(); });
  Strings names;
  for (const Link& link : links) {
    names.push_back(link.name);
    CHECK(link.loopback == (link.name == "lo"));
    CHECK(link.up == (link.name == "z"));
    CHECK(addresses_of(link) == (link.name == "z" ? Strings{"10.0.0.1"} : Strings{}));
  }
  std::sort(names.begin(), names.end());
  CHECK(names == Strings{"a-name.with_15b", "eth0", "lo", "net1", "z"});
}

TEST_CASE("IPv6 addresses are read with their lengths, more of them than one read gives") {
  const TestNetns netns;
  std::string commands =
      "link add eth0 type veth peer name eth\n"
      "addr add fd00:1::1/64 dev eth nodad\n";
  std::vector<Cidr> expected;
  for (int i = 1; i <= 100; ++i) {
    const std::string text = "fd00::" + std::to_string(i) + "/" + std::to_string(28 + i);
    commands += "addr add " + text + " dev eth0 nodad\n";
    // parse_cidr clears the host bits, which an address of an interface keeps.
    const IpAddress address = parse_address("fd00::" + std::to_string(i));
    expected.push_back({.address = address, .length = static_cast<std::uint8_t>(28 + i)});
  }
  ip(netns, commands);
  std::vector<Cidr> all;
  std::vector<Cidr> none;
  std::string file;
  netns.inside([&] {
    all = ipv6_addresses("eth0");
    none = ipv6_addresses("absent");
    file = read_proc_net("if_inet6");
    CHECK(read_proc_net("no_such_file").empty());
  });
  std::sort(all.begin(), all.end());
  std::sort(expected.begin(), expected.end());
  CHECK(all == expected);
  CHECK(none.empty());
  CHECK(std::count(file.begin(), file.end(), '\n') >= 101);
  CHECK(file.size() > 4096);
}

TEST_CASE("an address on lo is added and taken out once") {
  const TestNetns netns;
  for (const char* state : {"down", "up"}) {
    INFO(state);
    netns.must({"ip", "link", "set", "lo", state});
    CHECK(remove(netns, "::6/128") == AddressChange::unchanged);
    CHECK(add(netns, "::6/128") == AddressChange::done);
    const std::string shown = netns.must({"ip", "-6", "-o", "addr", "show", "dev", "lo"});
    CHECK(shown.find("inet6 ::6/128 ") != std::string::npos);
    CHECK(add(netns, "::6/128") == AddressChange::unchanged);
    CHECK(remove(netns, "::6/128") == AddressChange::done);
    CHECK(remove(netns, "::6/128") == AddressChange::unchanged);
    CHECK(netns.must({"ip", "-6", "-o", "addr", "show", "dev", "lo"}).find("::6/") ==
          std::string::npos);
  }
}

TEST_CASE("lo with IPv6 disabled takes no address") {
  const TestNetns netns;
  const auto has_ipv6 = [&] {
    bool has = false;
    netns.inside([&] { has = loopback_has_ipv6(); });
    return has;
  };
  CHECK(has_ipv6());
  REQUIRE(add(netns, "::6/128") == AddressChange::done);
  netns.set_sysctl("net/ipv6/conf/lo/disable_ipv6", "1");
  CHECK_FALSE(has_ipv6());
  CHECK(add(netns, "::6/128") == AddressChange::unsupported);
  CHECK(remove(netns, "::6/128") != AddressChange::done);
  netns.set_sysctl("net/ipv6/conf/lo/disable_ipv6", "0");
  CHECK(has_ipv6());
  CHECK(add(netns, "::6/128") == AddressChange::done);
  netns.set_sysctl("net/ipv6/conf/all/disable_ipv6", "1");
  CHECK_FALSE(has_ipv6());
  CHECK(add(netns, "::6/128") == AddressChange::unsupported);
}

}  // namespace
}  // namespace sluice::kernel

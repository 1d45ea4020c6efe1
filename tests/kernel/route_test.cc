// SPDX-License-Identifier: GPL-2.0-or-later
// Policy routing of mode tproxy, compared with what ip(8) shows and with what it was told to add.
#include "rules/kernel/route.h"

#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <string>
#include <vector>

#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/sockios.h>

#include "rules/diff.h"
#include "rules/error.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/refusal.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

const std::array<Family, 2> families{Family::ipv4, Family::ipv6};

std::string family_flag(Family family) {
  return family == Family::ipv4 ? "-4" : "-6";
}

// One command of ip(8) for one family.
void ip(const TestNetns& netns, Family family, const std::string& command) {
  netns.must({"ip", family_flag(family), "-batch", "-"}, command + "\n");
}

void ip_both(const TestNetns& netns, const std::string& command) {
  for (const Family family : families) ip(netns, family, command);
}

std::string shown_rules(const TestNetns& netns, Family family) {
  return netns.must({"ip", "-N", family_flag(family), "rule", "show"});
}

// Empty if there is no such table.
std::string shown_routes(const TestNetns& netns, Family family, const std::string& table) {
  return netns.run({"ip", "-N", family_flag(family), "-d", "route", "show", "table", table}).out;
}

std::string shown(const TestNetns& netns) {
  std::string all;
  for (const Family family : families) {
    all += shown_rules(netns, family) + shown_routes(netns, family, "all");
  }
  return all;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

void bring_lo_up(const TestNetns& netns) {
  netns.must({"ip", "link", "set", "lo", "up"});
}

RedirectConfig tproxy_config(std::uint32_t mark = 1337, std::uint32_t table = 133) {
  RedirectConfig config;
  config.mode = InterceptionMode::tproxy;
  config.tproxy_mark = mark;
  config.tproxy_table = table;
  return config;
}

std::vector<TproxyRoute> both_routes(std::uint32_t mark = 1337, std::uint32_t table = 133) {
  return {{.family = Family::ipv4, .mark = mark, .table = table},
          {.family = Family::ipv6, .mark = mark, .table = table}};
}

// What Istio's init container runs.
void add_as_istio(const TestNetns& netns) {
  ip_both(netns, "rule add fwmark 1337 lookup 133");
  ip_both(netns, "route add local default dev lo table 133");
}

// What ip(8) must show of a route with this mark, in hexadecimal, and table.
void check_shown(const TestNetns& netns, const std::string& mark, const std::string& table) {
  for (const Family family : families) {
    const std::string rules = shown_rules(netns, family);
    INFO(rules);
    CHECK(count(rules, "from all fwmark " + mark + " lookup " + table + " ") == 1);
    CHECK(count(rules, "fwmark") == 1);
    const std::string routes = shown_routes(netns, family, table);
    INFO(routes);
    // Type 2 is local, scope 254 host.
    CHECK(routes == (family == Family::ipv4
                         ? "2 default dev lo proto 83 scope 254 \n"
                         : "2 default dev lo proto 83 scope 0 metric 1024 pref medium\n"));
  }
}

TEST_CASE("routes are added as ip(8) would, with our protocol, and once only", "[backends]") {
  TestNetns netns;
  bring_lo_up(netns);
  const std::string before = shown(netns);
  const Interception wanted = both_families(tproxy_config());
  REQUIRE(wanted.tproxy_routes == both_routes());
  CHECK(netns.backend().apply(wanted).empty());
  check_shown(netns, "0x539", "133");
  // The priority that ip(8) gets, too: before table main.
  CHECK(count(shown_rules(netns, Family::ipv4), "32765:\tfrom all fwmark 0x539") == 1);
  CHECK(netns.backend().read().tproxy_routes == both_routes());
  CHECK(diff(wanted, netns.backend().read()).empty());

  const std::string once = shown(netns);
  CHECK(netns.backend().apply(wanted).empty());
  CHECK(difference(once, shown(netns)) == nothing);

  CHECK(netns.backend().remove().empty());
  CHECK(difference(before, shown(netns)) == nothing);
  CHECK(netns.backend().read().tproxy_routes.empty());
  CHECK(netns.backend().remove().empty());
}

TEST_CASE("marks and tables of all sizes are written and read back", "[backends]") {
  struct Case {
    std::uint32_t mark;
    std::uint32_t table;
    std::string shown_mark;
  };
  for (const Case& tried : {Case{1, 1, "0x1"}, Case{0x80000000, 252, "0x80000000"},
                            Case{0xffffffff, 256, "0xffffffff"}, Case{42, 4294967295U, "0x2a"}}) {
    INFO(tried.mark << " " << tried.table);
    TestNetns netns;
    bring_lo_up(netns);
    const std::string before = shown(netns);
    netns.backend().apply(both_families(tproxy_config(tried.mark, tried.table)));
    check_shown(netns, tried.shown_mark, std::to_string(tried.table));
    CHECK(netns.backend().read().tproxy_routes == both_routes(tried.mark, tried.table));
    netns.backend().remove();
    CHECK(difference(before, shown(netns)) == nothing);
  }
}

TEST_CASE("another mark, another table and another mode take the old routes out", "[backends]") {
  TestNetns netns;
  bring_lo_up(netns);
  const std::string before = shown(netns);
  netns.backend().apply(both_families(tproxy_config()));
  // The table stays in use, so its route must.
  netns.backend().apply(both_families(tproxy_config(42, 133)));
  check_shown(netns, "0x2a", "133");
  netns.backend().apply(both_families(tproxy_config(42, 300)));
  check_shown(netns, "0x2a", "300");
  CHECK(shown_routes(netns, Family::ipv4, "133") == nothing);
  netns.backend().apply(ipv4_only(tproxy_config(42, 300)));
  CHECK(netns.backend().read().tproxy_routes ==
        std::vector<TproxyRoute>{both_routes(42, 300).front()});
  netns.backend().apply(both_families(small_config()));
  CHECK(difference(before, filter_lines(shown(netns), [](const std::string& line) {
                     return line.find(" ::6 ") == std::string::npos;
                   })) == nothing);
}

TEST_CASE("what Istio's init container wrote is enough, and is taken out by its mark",
          "[backends]") {
  TestNetns netns;
  bring_lo_up(netns);
  const std::string before = shown(netns);
  add_as_istio(netns);
  const std::string istio = shown(netns);
  // Without rules that name the mark they are nobody's.
  CHECK(netns.backend().read().tproxy_routes.empty());
  CHECK(netns.backend().remove().empty());
  CHECK(difference(istio, shown(netns)) == nothing);

  const Interception wanted = both_families(tproxy_config());
  CHECK(netns.backend().apply(wanted).empty());
  CHECK(count(shown(netns), "fwmark") == 2);
  CHECK(count(shown(netns), "table 133") == 2);
  CHECK(shown(netns).find("proto 83") == std::string::npos);
  CHECK(diff(wanted, netns.backend().read()).empty());
  CHECK(netns.backend().remove().empty());
  CHECK(difference(before, shown(netns)) == nothing);
}

TEST_CASE("half of it from others is completed, and both halves are taken out", "[backends]") {
  const bool has_rule = GENERATE(true, false);
  TestNetns netns;
  bring_lo_up(netns);
  const std::string before = shown(netns);
  ip_both(netns, has_rule ? "rule add fwmark 1337 lookup 133"
                          : "route add local default dev lo table 133");
  netns.backend().apply(both_families(tproxy_config()));
  CHECK(count(shown(netns), "fwmark") == 2);
  CHECK(count(shown(netns), "table 133") == 2);
  CHECK(netns.backend().read().tproxy_routes == both_routes());
  netns.backend().remove();
  CHECK(difference(before, shown(netns)) == nothing);
}

TEST_CASE("a second ip rule that Istio's init container wrote is taken out, too", "[backends]") {
  TestNetns netns;
  bring_lo_up(netns);
  const std::string before = shown(netns);
  add_as_istio(netns);
  ip_both(netns, "rule add fwmark 1337 lookup 133");
  netns.backend().apply(both_families(tproxy_config()));
  CHECK(count(shown(netns), "fwmark") == 4);
  netns.backend().remove();
  CHECK(difference(before, shown(netns)) == nothing);
}

TEST_CASE("routing of others stays", "[backends]") {
  TestNetns netns;
  bring_lo_up(netns);
  netns.must({"ip", "link", "add", "veth1", "type", "veth", "peer", "name", "veth2"});
  netns.must({"ip", "link", "set", "veth1", "up"});
  for (const std::string rule :
       {"not fwmark 1337 lookup 133", "fwmark 1337/0xff lookup 133", "fwmark 1338 lookup 133",
        "fwmark 1337 iif lo lookup 133", "fwmark 1337 oif lo lookup 133",
        "fwmark 1337 uidrange 0-5 lookup 133", "fwmark 1337 ipproto tcp lookup 133",
        "fwmark 1337 dport 80 lookup 133", "fwmark 1337 tos 0x10 lookup 133",
        "fwmark 1337 lookup 133 suppress_prefixlength 0", "fwmark 1337 lookup 134",
        "fwmark 1337 lookup 253", "pref 77 lookup 133", "fwmark 1337 prohibit",
        "fwmark 1337 goto 32766"}) {
    ip_both(netns, "rule add " + rule);
  }
  ip(netns, Family::ipv4, "rule add fwmark 1337 from 10.0.0.0/8 lookup 133");
  ip(netns, Family::ipv6, "rule add fwmark 1337 to fd00::/8 lookup 133");
  ip(netns, Family::ipv4, "route add local 10.0.0.0/8 dev lo table 133");
  ip(netns, Family::ipv4, "route add default dev veth1 table 134");
  ip(netns, Family::ipv4, "route add local default dev lo metric 7 table 133");
  ip(netns, Family::ipv6, "route add local fd00::/8 dev lo table 133");
  ip(netns, Family::ipv6, "route add local default dev lo metric 7 table 133");
  const std::string before = shown(netns);
  netns.backend().apply(both_families(tproxy_config()));
  CHECK(netns.backend().read().tproxy_routes == both_routes());
  CHECK(difference(before, shown(netns)) != nothing);
  netns.backend().remove();
  CHECK(difference(before, shown(netns)) == nothing);
}

TEST_CASE("another default route in the table is refused, and nothing is left behind",
          "[backends]") {
  TestNetns netns;
  bring_lo_up(netns);
  ip(netns, Family::ipv4, "route add unreachable default table 133");
  const std::string before = shown(netns);
  CHECK_THROWS_WITH(netns.backend().apply(both_families(tproxy_config())),
                    "add IPv4 route local 0.0.0.0/0 dev lo table 133: File exists");
  CHECK(difference(before, shown(netns)) == nothing);
  CHECK(diff(Interception{}, netns.backend().read()).empty());
}

TEST_CASE("the protocol alone says that it is ours, when the rules are gone", "[backends]") {
  const bool has_rule = GENERATE(true, false);
  const bool has_route = GENERATE(true, false);
  TestNetns netns;
  bring_lo_up(netns);
  const std::string before = shown(netns);
  netns.backend().apply(both_families(tproxy_config()));
  for (const char* tool : {"iptables-legacy", "ip6tables-legacy"}) {
    for (const char* table : {"raw", "mangle", "nat", "filter"}) {
      netns.must({tool, "-t", table, "-F"});
      netns.must({tool, "-t", table, "-X"});
    }
  }
  netns.must({"nft", "flush", "ruleset"});
  if (!has_rule) ip_both(netns, "rule del fwmark 1337 lookup 133");
  if (!has_route) ip_both(netns, "route flush table 133");
  CHECK(netns.backend().read().tproxy_routes ==
        (has_rule && has_route ? both_routes() : std::vector<TproxyRoute>{}));
  CHECK(netns.backend().remove().empty());
  CHECK(difference(before, shown(netns)) == nothing);
}

// A rule that the kernel refuses, in the last table of the last family.
Interception with_refused_rule(Interception wanted) {
  for (TableRules& table : wanted.rulesets.back().tables) {
    if (table.table != Table::nat) continue;
    find_chain(table, "PREROUTING")
        ->rules.push_back({.matches = {Owner{.uid = OwnerRange{.first = 1, .last = 1}}},
                           .target = Jump{"ISTIO_INBOUND"}});
  }
  return wanted;
}

TEST_CASE("a later step that fails takes the routes back, but not those that were there") {
  const int earlier = GENERATE(0, 1, 2, 3);
  INFO("before it " << earlier);
  TestNetns netns;
  bring_lo_up(netns);
  if (earlier == 1) add_as_istio(netns);
  if (earlier == 2) netns.backend().apply(both_families(tproxy_config(42, 300)));
  if (earlier == 3) netns.backend().apply(ipv4_only(tproxy_config()));
  const std::string before = shown(netns);
  const std::vector<TproxyRoute> owned = netns.backend().read().tproxy_routes;
  CHECK_THROWS_WITH(netns.backend().apply(with_refused_rule(both_families(tproxy_config()))),
                    Catch::StartsWith("commit IPv6 table nat"));
  CHECK(difference(before, shown(netns)) == nothing);
  CHECK(netns.backend().read().tproxy_routes == owned);
}

TEST_CASE("routes that cannot all be taken out are put back, and so are the rules", "[backends]") {
  TestNetns netns;
  bring_lo_up(netns);
  netns.backend().apply(both_families(tproxy_config()));
  const std::string before = shown(netns);
  const std::string rules = netns.state();
  CHECK(in_child([&]() -> std::string {
          // Routes go before addresses: this is the step behind them.
          refuse(SYS_ioctl, {{.index = 1, .value = SIOCDIFADDR}}, EPERM);
          try {
            netns.backend().remove();
            return "removed";
          } catch (const Error& error) {
            return error.what();
          }
        }) == "remove address ::6/128 from lo: Operation not permitted");
  CHECK(difference(before, shown(netns)) == nothing);
  CHECK(difference(rules, netns.state()) == nothing);
}

TEST_CASE("without privileges no route is written", "[backends]") {
  TestNetns netns;
  bring_lo_up(netns);
  const std::string before = shown(netns);
  CHECK(in_child([&]() -> std::string {
          std::string message = "added";
          netns.inside([&] {
            drop_capability(CAP_NET_ADMIN);
            try {
              RouteChanges().add(both_routes().front());
            } catch (const Error& error) {
              message = error.what();
            }
          });
          return message;
        }) == "add IPv4 rule fwmark 0x539 lookup 133: Operation not permitted");
  CHECK(difference(before, shown(netns)) == nothing);
}

TEST_CASE("IPv6 that is disabled on lo fails apply only where IPv6 is required", "[backends]") {
  TestNetns netns;
  bring_lo_up(netns);
  netns.set_sysctl("net/ipv6/conf/lo/disable_ipv6", "1");
  const std::string before = shown(netns);
  Interception wanted = both_families(tproxy_config());
  wanted.loopback_addresses.clear();
  try {
    netns.backend().apply(wanted);
    FAIL("the kernel took the route");
  } catch (const Error& error) {
    CHECK(error.code() == std::errc::not_supported);
    CHECK(std::string(error.what()) ==
          "add IPv6 route local ::/0 dev lo table 133: IPv6 is disabled on lo");
  }
  CHECK(difference(before, shown(netns)) == nothing);
  CHECK(diff(Interception{}, netns.backend().read()).empty());

  wanted.ipv6_required = false;
  CHECK(netns.backend().apply(wanted) ==
        Notices{"IPv6 is left out: add IPv6 route local ::/0 dev lo table 133: IPv6 is disabled "
                "on lo"});
  CHECK(shown_rules(netns, Family::ipv6).find("fwmark") == std::string::npos);
  CHECK(netns.backend().read().tproxy_routes == std::vector<TproxyRoute>{both_routes().front()});
  CHECK(diff(wanted, netns.backend().read()).empty());
  CHECK(netns.backend().remove().empty());
  CHECK(difference(before, shown(netns)) == nothing);
}

TEST_CASE("lo that is down is named", "[backends]") {
  TestNetns netns;
  const std::string before = shown(netns);
  Interception wanted = both_families(tproxy_config());
  CHECK_THROWS_WITH(netns.backend().apply(wanted),
                    "add IPv6 route local ::/0 dev lo table 133: lo is down");
  CHECK(difference(before, shown(netns)) == nothing);
  wanted.ipv6_required = false;
  CHECK(netns.backend().apply(wanted).size() == 1);
  CHECK(netns.backend().read().tproxy_routes.size() == 1);
}

TEST_CASE("an ADD that has nothing to do with mode tproxy does not need routes", "[backends]") {
  TestNetns netns;
  CHECK(in_child([&]() -> std::string {
          refuse(SYS_socket,
                 {{.index = 0, .value = AF_NETLINK}, {.index = 2, .value = NETLINK_ROUTE}}, EPERM);
          try {
            netns.backend().apply(ipv4_only(small_config()));
            return netns.backend().apply(ipv4_only(large_config())).at(0);
          } catch (const Error& error) {
            return error.what();
          }
        }) == "rules of ours may be left behind: open a netlink socket: Operation not permitted");
  CHECK(diff(ipv4_only(large_config()), netns.backend().read()).empty());
}

// One that was killed after its last rule and before it had taken out all of mode tproxy, and one
// that was killed in the middle of adding it.
TEST_CASE("an ADD that has nothing to do with mode tproxy takes out what a killed one left",
          "[backends]") {
  const bool whole = GENERATE(true, false);
  TestNetns netns;
  bring_lo_up(netns);
  const std::string before = shown(netns);
  netns.inside([&] {
    for (const TproxyRoute& route : both_routes()) RouteChanges().add(route);
    CHECK(has_tagged_rule());
  });
  if (!whole) netns.must({"ip", "route", "flush", "table", "133"});
  netns.backend().apply(ipv4_only(small_config()));
  CHECK(difference(before, shown(netns)) == nothing);
  netns.inside([] { CHECK_FALSE(has_tagged_rule()); });
}

}  // namespace
}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// remove() takes out what is ours and nothing else, without knowing what was applied.
#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "rules/diff.h"
#include "rules/ownership.h"
#include "rules/text.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/foreign.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

const std::array<Family, 2> families{Family::ipv4, Family::ipv6};

// The configurations differ in where the interface rules stand: with a jump behind them in
// PREROUTING, without one, and in ISTIO_INBOUND where filter blocks.
std::vector<Interception> interceptions() {
  RedirectConfig no_inbound = large_config();
  no_inbound.include_inbound_ports = {.all = false, .list = {}};
  return {both_families(small_config()),
          both_families(large_config()),
          both_families(no_inbound),
          ipv6_blocked(large_config()),
          ipv4_only(small_config()),
          both_families(config_of(R"({"layout": "istio-1.6", "excludeInterfaces": "net1"})"))};
}

const std::vector<std::string> excluded_interfaces{"net1", "eth7", "eth8"};

void check_nothing_of_ours(TestNetns& netns) {
  const Interception live = netns.backend().read();
  for (const Ruleset& ruleset : live.rulesets) {
    INFO(to_save(ruleset));
    CHECK(owned(ruleset).tables.empty());
  }
  CHECK(live.loopback_addresses.empty());
  CHECK(netns.addresses().find("00000000000000000000000000000006") == std::string::npos);
}

TEST_CASE("remove leaves foreign rules, their order and their counters as they were") {
  for (const Interception& wanted : interceptions()) {
    TestNetns netns;
    for (const Family family : families) add_foreign_rules(netns, family);
    netns.backend().apply(wanted);
    for (const Family family : families) surround_with_foreign_rules(netns, family);
    netns.send_packets(80, 3);
    std::vector<std::string> before;
    for (const Family family : families) {
      const std::string all = counted_rules(netns, family);
      before.push_back(without_ours(all, excluded_interfaces));
      // Else this would test nothing.
      if (!wanted.rulesets.empty() && family == Family::ipv4) CHECK(before.back() != all);
    }
    netns.backend().remove();
    for (const Family family : families) {
      const std::string after = counted_rules(netns, family);
      CHECK(difference(before[static_cast<std::size_t>(family)], after) == nothing);
    }
    check_nothing_of_ours(netns);
    const std::string state = netns.state();
    CHECK(netns.backend().remove().empty());
    CHECK(difference(state, netns.state()) == nothing);
  }
}

TEST_CASE("apply leaves foreign rules and their counters as they were") {
  TestNetns netns;
  for (const Family family : families) add_foreign_rules(netns, family);
  netns.send_packets(443, 2);
  std::vector<std::string> before;
  before.reserve(families.size());
  for (const Family family : families) before.push_back(counted_rules(netns, family));
  // The packets were counted.
  CHECK(before.front().find("[14:73] -A OUTPUT -j MY_ISTIO_OUTPUT") == std::string::npos);
  for (const Interception& wanted : interceptions()) {
    netns.backend().apply(wanted);
    CHECK(diff(wanted, netns.backend().read()).empty());
    for (const Family family : families) {
      const std::string after = without_ours(counted_rules(netns, family), excluded_interfaces);
      CHECK(difference(before[static_cast<std::size_t>(family)], after) == nothing);
    }
  }
}

TEST_CASE("tables without anything of ours are not written") {
  TestNetns netns;
  add_foreign_rules(netns, Family::ipv4);
  const auto others = [&] {
    std::string all;
    for (const char* table : {"raw", "mangle", "filter"}) {
      all += filter_lines(netns.must({"iptables-legacy-save", "-c", "-t", table}),
                          [](const std::string& line) { return line.front() != '#'; });
    }
    return all;
  };
  // Policies' counters too: they show any commit.
  const std::string before = others();
  netns.backend().apply(both_families(large_config()));
  netns.backend().remove();
  CHECK(difference(before, others()) == nothing);
}

TEST_CASE("foreign rules that jump to our chains go with the chains") {
  TestNetns netns;
  for (const Family family : families) {
    add_foreign_rules(netns, family);
    const std::string before = counted_rules(netns, family);
    netns.backend().apply(both_families(large_config()));
    const std::string tool = vendor_tool(family);
    netns.must({tool, "-t", "nat", "-A", "PREROUTING", "-p", "udp", "-j", "ISTIO_INBOUND"});
    netns.must({tool, "-t", "nat", "-A", "istio_output", "-j", "ISTIO_REDIRECT"});
    netns.must({tool, "-t", "nat", "-I", "MY_ISTIO_OUTPUT", "-m", "comment", "--comment", "x", "-j",
                "ISTIO_OUTPUT"});
    netns.must({tool, "-t", "nat", "-A", "ISTIO", "!", "-p", "tcp", "-j", "ISTIO_IN_REDIRECT"});
    netns.backend().remove();
    CHECK(difference(before, counted_rules(netns, family)) == nothing);
  }
}

TEST_CASE("a foreign jump before ours does not hide the excluded interfaces") {
  TestNetns netns;
  add_foreign_rules(netns, Family::ipv4);
  const std::string before = counted_rules(netns, Family::ipv4);
  netns.backend().apply(ipv4_only(large_config()));
  netns.must({"iptables-legacy", "-t", "nat", "-I", "OUTPUT", "-p", "udp", "-j", "ISTIO_OUTPUT"});
  netns.backend().remove();
  CHECK(difference(before, counted_rules(netns, Family::ipv4)) == nothing);
}

TEST_CASE("foreign rules that go to our chains go with the chains") {
  TestNetns netns;
  add_foreign_rules(netns, Family::ipv4);
  const std::string before = counted_rules(netns, Family::ipv4);
  netns.backend().apply(ipv4_only(small_config()));
  netns.must({"iptables-legacy", "-t", "nat", "-A", "istio_output", "-g", "ISTIO_OUTPUT"});
  CHECK_NOTHROW(netns.backend().remove());
  CHECK(difference(before, counted_rules(netns, Family::ipv4)) == nothing);
}

TEST_CASE("chains that Istio itself wrote are taken out of every table") {
  TestNetns netns;
  for (const Family family : families) {
    add_foreign_rules(netns, family);
    const std::string before = counted_rules(netns, family);
    netns.restore(family, R"(*mangle
-N ISTIO_DIVERT
-N ISTIO_TPROXY
-N ISTIO_INBOUND
-A ISTIO_DIVERT -j MARK --set-mark 1337
-A ISTIO_DIVERT -j ACCEPT
-A ISTIO_TPROXY -p tcp -j TPROXY --on-port 15006 --tproxy-mark 1337/0xffffffff
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A ISTIO_INBOUND -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT
-A ISTIO_INBOUND -p tcp -j ISTIO_TPROXY
COMMIT
*raw
-N ISTIO_OUTPUT_DNS
-A OUTPUT -j ISTIO_OUTPUT_DNS
-A ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --uid-owner 1337 -j CT --zone 1
COMMIT
*filter
-N ISTIO_DROP
-A INPUT -j ISTIO_DROP
-A ISTIO_DROP -m conntrack --ctstate INVALID -j DROP
COMMIT
)",
                  {"--noflush"});
    netns.backend().remove();
    CHECK(difference(before, counted_rules(netns, family)) == nothing);
  }
}

TEST_CASE("remove takes out what is left of half a configuration") {
  TestNetns netns;
  const std::string empty =
      "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
      ":POSTROUTING ACCEPT [0:0]\nCOMMIT\n";
  for (const char* rest :
       {"-N ISTIO_REDIRECT\n", "-N ISTIO_OUTPUT\n-A OUTPUT -j ISTIO_OUTPUT\n",
        "-N ISTIO_INBOUND\n-N ISTIO_OUTPUT\n-A ISTIO_INBOUND -j ISTIO_OUTPUT\n",
        "-N ISTIO_OUTPUT\n-A PREROUTING -i x -j RETURN\n-A OUTPUT -o x -j RETURN\n"
        "-A OUTPUT -j ISTIO_OUTPUT\n"}) {
    netns.restore(Family::ipv4, "*nat\n" + std::string(rest) + "COMMIT\n");
    netns.backend().remove();
    CHECK(netns.save(Family::ipv4) == empty);
  }
}

TEST_CASE("remove and read create no table in a namespace that was never touched") {
  TestNetns netns;
  const std::string addresses = netns.addresses();
  CHECK(netns.backend().read() ==
        Interception{.rulesets = {{.family = Family::ipv4}, {.family = Family::ipv6}}});
  CHECK(netns.backend().remove().empty());
  CHECK(netns.backend().apply({}).empty());
  CHECK(netns.proc_net("ip_tables_names").empty());
  CHECK(netns.proc_net("ip6_tables_names").empty());
  CHECK(netns.addresses() == addresses);
}

}  // namespace
}  // namespace sluice::kernel

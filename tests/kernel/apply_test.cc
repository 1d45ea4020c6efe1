// SPDX-License-Identifier: GPL-2.0-or-later
// apply() makes what is ours equal what is wanted, from whatever state.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "rules/diff.h"
#include "rules/text.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

constexpr const char* passthrough_address = "00000000000000000000000000000006";

bool has_passthrough_address(const TestNetns& netns) {
  return netns.addresses().find(passthrough_address) != std::string::npos;
}

// A new namespace in which nothing but `wanted` was ever applied.
std::string state_after(const Interception& wanted) {
  TestNetns netns;
  netns.backend().apply(wanted);
  return netns.state();
}

TEST_CASE("a second apply of the same changes nothing, not even the counters", "[backends]") {
  TestNetns netns;
  netns.backend().apply(both_families(large_config()));
  netns.send_packets(80, 5);
  const std::string before = netns.state();
  // Of the rules that a SYN over lo meets in ISTIO_OUTPUT.
  const std::string jump = netns.writes_nftables() ? "counter packets 5 bytes 300 jump ISTIO_OUTPUT"
                                                   : "[5:300] -A OUTPUT -j ISTIO_OUTPUT";
  REQUIRE_THAT(before, Catch::Contains(jump));
  CHECK(netns.backend().apply(both_families(large_config())).empty());
  CHECK(difference(before, netns.state()) == nothing);
}

TEST_CASE("another configuration replaces the one before without remnants", "[backends]") {
  RedirectConfig old_layout = config_of(R"({"layout": "istio-1.6", "excludeInterfaces": "a,b"})");
  RedirectConfig no_inbound = large_config();
  no_inbound.include_inbound_ports = {.all = false, .list = {}};
  const std::vector<Interception> all{both_families(small_config()), both_families(large_config()),
                                      both_families(old_layout), both_families(no_inbound)};
  for (const Interception& first : all) {
    for (const Interception& second : all) {
      TestNetns netns;
      netns.backend().apply(first);
      netns.backend().apply(second);
      CHECK(difference(state_after(second), netns.state()) == nothing);
    }
  }
}

TEST_CASE("what is wanted no longer goes, the table stays") {
  TestNetns netns;
  netns.backend().apply(both_families(small_config()));
  REQUIRE(has_passthrough_address(netns));
  REQUIRE(netns.save(Family::ipv6).find("ISTIO_OUTPUT") != std::string::npos);

  netns.backend().apply(ipv4_only(small_config()));
  CHECK_FALSE(has_passthrough_address(netns));
  CHECK(netns.save(Family::ipv6) ==
        "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
        ":POSTROUTING ACCEPT [0:0]\nCOMMIT\n");
  CHECK(diff(ipv4_only(small_config()), netns.backend().read()).empty());

  netns.backend().apply({});
  CHECK(netns.save(Family::ipv4) == netns.save(Family::ipv6));
  CHECK(diff(Interception{}, netns.backend().read()).empty());
}

TEST_CASE("only the tables that are wanted are created") {
  TestNetns netns;
  netns.backend().apply(ipv4_only(small_config()));
  CHECK(netns.proc_net("ip_tables_names") == "nat\n");
  CHECK(netns.proc_net("ip6_tables_names").empty());
  netns.backend().apply(ipv4_only(large_config()));
  netns.backend().read();
  netns.backend().remove();
  CHECK(netns.proc_net("ip_tables_names") == "nat\n");
  CHECK(netns.proc_net("ip6_tables_names").empty());
}

TEST_CASE("blocked IPv6 is rejected in filter, and gives way to redirection") {
  TestNetns netns;
  const Interception blocked = ipv6_blocked(large_config());
  CHECK(netns.backend().apply(blocked).empty());
  CHECK(netns.proc_net("ip6_tables_names") == "filter\n");
  CHECK_FALSE(has_passthrough_address(netns));
  CHECK(netns.backend().read().rulesets == blocked.rulesets);
  CHECK(netns.save(Family::ipv6).find("-j REJECT --reject-with tcp-reset") != std::string::npos);

  netns.backend().apply(both_families(large_config()));
  CHECK(netns.save(Family::ipv6).find("ISTIO_REJECT") == std::string::npos);
  CHECK(diff(both_families(large_config()), netns.backend().read()).empty());
  netns.backend().apply(blocked);
  CHECK(diff(blocked, netns.backend().read()).empty());
}

TEST_CASE("apply repairs what somebody has changed in our chains") {
  const std::vector<std::vector<std::string>> changes{
      {"-F", "ISTIO_OUTPUT"},
      {"-D", "OUTPUT", "-j", "ISTIO_OUTPUT"},
      {"-A", "OUTPUT", "-j", "ISTIO_OUTPUT"},
      {"-I", "OUTPUT", "-p", "udp", "-j", "ISTIO_OUTPUT"},
      {"-I", "ISTIO_INBOUND", "-m", "comment", "--comment", "x", "-j", "ACCEPT"},
      {"-D", "ISTIO_INBOUND", "1"},
      {"-R", "ISTIO_REDIRECT", "1", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "1"},
      {"-R", "ISTIO_REDIRECT", "1", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "16001",
       "--random"},
      {"-N", "ISTIO_DROP"},
      {"-F", "ISTIO_INBOUND"}};
  const Interception wanted = both_families(large_config());
  const std::string expected = state_after(wanted);
  for (const auto& change : changes) {
    TestNetns netns;
    netns.backend().apply(wanted);
    for (const char* tool : {"iptables-legacy", "ip6tables-legacy"}) {
      std::vector<std::string> words{tool, "-t", "nat"};
      words.insert(words.end(), change.begin(), change.end());
      netns.must(words);
    }
    INFO(change[0] << ' ' << change[1]);
    CHECK_FALSE(diff(wanted, netns.backend().read()).empty());
    netns.backend().apply(wanted);
    CHECK(diff(wanted, netns.backend().read()).empty());
    // A jump that somebody moved or deleted no longer marks the interfaces before it as ours: they
    // may be there twice, but not for longer than we are.
    if (change[1] != "OUTPUT") CHECK(difference(expected, netns.state()) == nothing);
    netns.backend().remove();
    CHECK(netns.state().find("-A ") == std::string::npos);
  }
}

// The positions of the lines that hold `part`, the first line being 0.
std::vector<std::size_t> lines_with(const std::string& text, const std::string& part) {
  std::vector<std::size_t> found;
  std::size_t number = 0;
  filter_lines(text, [&](const std::string& line) {
    if (line.find(part) != std::string::npos) found.push_back(number);
    ++number;
    return false;
  });
  return found;
}

TEST_CASE("what replaces our rules stands where they stood") {
  for (const char* chain : {"PREROUTING", "OUTPUT"}) {
    TestNetns netns;
    const auto append = [&](const char* mark) {
      netns.must({"iptables-legacy", "-t", "nat", "-A", chain, "-m", "mark", "--mark", mark});
    };
    append("0x1");
    netns.backend().apply(ipv4_only(small_config()));
    append("0x2");
    netns.backend().apply(ipv4_only(large_config()));
    const std::string text = netns.save(Family::ipv4);
    const auto ours = lines_with(text, std::string("-A ") + chain + " -j ISTIO_");
    const auto ours_tcp = lines_with(text, std::string("-A ") + chain + " -p tcp -j ISTIO_");
    const std::size_t jump = ours.empty() ? ours_tcp.at(0) : ours.at(0);
    INFO(text);
    CHECK(lines_with(text, "--mark 0x1").at(0) + 3 == jump);  // two interfaces between them
    CHECK(lines_with(text, "--mark 0x2").at(0) == jump + 1);
    CHECK(diff(ipv4_only(large_config()), netns.backend().read()).empty());
  }
}

TEST_CASE("foreign rules before ours are worth a notice") {
  TestNetns netns;
  netns.must({"iptables-legacy", "-t", "nat", "-A", "OUTPUT", "-p", "udp", "-j", "ACCEPT"});
  const Notices notices = netns.backend().apply(both_families(small_config()));
  REQUIRE(notices.size() == 1);
  CHECK(notices.front() ==
        "1 rules of others stand before ours in chain \"OUTPUT\" of IPv4 table nat");
}

TEST_CASE("foreign rules that look like excluded interfaces survive the first apply") {
  TestNetns netns;
  netns.must({"iptables-legacy", "-t", "nat", "-A", "PREROUTING", "-i", "eth5", "-j", "RETURN"});
  netns.must({"iptables-legacy", "-t", "nat", "-A", "OUTPUT", "-o", "eth5", "-j", "RETURN"});
  const bool own_interfaces = GENERATE(true, false);
  const Interception wanted = ipv4_only(own_interfaces ? small_config() : config_of("{}"));
  netns.backend().apply(wanted);
  CHECK(netns.save(Family::ipv4).find("-A PREROUTING -i eth5 -j RETURN") != std::string::npos);
  CHECK(netns.save(Family::ipv4).find("-A OUTPUT -o eth5 -j RETURN") != std::string::npos);
  CHECK(diff(wanted, netns.backend().read()).empty());
}

TEST_CASE("an address that is on lo already stays, and others are not ours", "[backends]") {
  TestNetns netns;
  netns.must({"ip", "addr", "add", "::6/128", "dev", "lo"});
  netns.must({"ip", "addr", "add", "fd00::6/128", "dev", "lo"});
  const std::string before = netns.addresses();
  netns.backend().apply(both_families(small_config()));
  CHECK(netns.addresses() == before);
  netns.backend().remove();
  CHECK_FALSE(has_passthrough_address(netns));
  CHECK(netns.addresses().find("fd000000000000000000000000000006") != std::string::npos);
}

}  // namespace
}  // namespace sluice::kernel

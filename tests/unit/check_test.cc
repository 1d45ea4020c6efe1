// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <cerrno>
#include <string>
#include <vector>

#include "tests/unit/plugin_run.h"
#include "tests/unit/tables.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;

// A pod of both families after ADD.
struct AddedPod : PluginRun {
  AddedPod() {
    network["dualStack"] = true;
    add_address("fd00::5/64");
    REQUIRE((*this)("ADD").exit_status == 0);
    opened.clear();
  }

  std::vector<Rule>& rules(std::size_t family, const char* chain) {
    return find_chain(pod.backend.live.rulesets.at(family).tables.front(), chain)->rules;
  }
};

std::string drift_in(const Outcome& outcome) {
  CHECK(code_in(outcome) == Code::drift);
  return message_in(outcome);
}

TEST_CASE("check: right after ADD all is as wanted, and stays so", "[check]") {
  AddedPod plugin;
  const Interception before = plugin.pod.backend.live;
  for (int i = 0; i < 3; ++i) {
    const Outcome outcome = plugin("CHECK");
    CHECK(outcome.exit_status == 0);
    CHECK(outcome.out.empty());
  }
  CHECK(plugin.pod.backend.live == before);
}

TEST_CASE("check: what others added is no drift", "[check]") {
  AddedPod plugin;
  for (const char* chain : {"PREROUTING", "OUTPUT"}) {
    plugin.rules(0, chain).push_back({.protocol = Protocol::udp, .target = Accept{}});
  }
  plugin.pod.backend.live.rulesets[0].tables.push_back(
      table_with({"-A INPUT -j DROP"}, {}, Table::filter));
  plugin.pod.backend.live.loopback_addresses.push_back(parse_cidr("::9/128"));
  plugin.pod.links.push_back({.name = "net1", .up = true});
  CHECK(plugin("CHECK").exit_status == 0);
}

TEST_CASE("check: whatever a tenant's rules say, each line is short", "[check]") {
  AddedPod plugin;
  for (int i = 0; i < 4; ++i) {
    std::string comment;
    while (comment.size() < 900 + static_cast<std::size_t>(i)) comment += "\xe2\x98\x83";
    plugin.rules(0, "ISTIO_OUTPUT").push_back({.target = Jump{comment}});
  }
  const Outcome outcome = plugin("CHECK");
  CHECK(drift_in(outcome).size() <= 903);
  for (const LogLine& line : outcome.log) CHECK(line.text.size() <= 903);
  // Cut between two characters.
  CHECK(drift_in(outcome).find("\xef\xbf\xbd") == std::string::npos);
}

TEST_CASE("check: drift is named", "[check]") {
  AddedPod plugin;
  std::string expected;
  SECTION("a rule is missing") {
    plugin.rules(1, "ISTIO_OUTPUT").pop_back();
    expected = "missing: IPv6 nat: -A ISTIO_OUTPUT -j ISTIO_REDIRECT";
  }
  SECTION("the jump is missing") {
    plugin.rules(0, "PREROUTING").clear();
    expected = "missing: IPv4 nat: -A PREROUTING -p tcp -j ISTIO_INBOUND";
  }
  SECTION("a rule that lets traffic out") {
    std::vector<Rule>& rules = plugin.rules(0, "ISTIO_OUTPUT");
    rules.insert(rules.begin(), Rule{.target = Return{}});
    expected = "unexpected: IPv4 nat: -A ISTIO_OUTPUT -j RETURN";
  }
  SECTION("the order has changed") {
    std::vector<Rule>& rules = plugin.rules(0, "ISTIO_OUTPUT");
    std::swap(rules[3], rules.back());
    expected = "out of order: IPv4 nat: -A ISTIO_OUTPUT -j ISTIO_REDIRECT";
  }
  SECTION("the address on lo is gone") {
    plugin.pod.backend.live.loopback_addresses.clear();
    expected = "missing: address ::6/128 on lo";
  }
  const Interception before = plugin.pod.backend.live;
  CHECK(drift_in(plugin("CHECK")) == "the rules in the pod are not as wanted: " + expected);
  CHECK(plugin.pod.backend.live == before);
}

TEST_CASE("check: a pod without rules drifts, and the message stays short", "[check]") {
  AddedPod plugin;
  plugin.pod.backend.remove();
  const std::string message = drift_in(plugin("CHECK"));
  CHECK_THAT(message, Contains("; and ") && Contains(" more"));
  CHECK(message.size() < 1024);
}

TEST_CASE("check: the annotations are those of now", "[check]") {
  AddedPod plugin;
  plugin.annotate("traffic.sidecar.istio.io/excludeInboundPorts", "8080");
  CHECK_THAT(drift_in(plugin("CHECK")), Contains("--dport 8080"));
}

TEST_CASE("check: a pod that was not redirected is not looked into", "[check]") {
  AddedPod plugin;
  SECTION("not injected") {
    plugin.annotations() = nullptr;
  }
  SECTION("excluded") {
    plugin.network["excludeNamespaces"] = {"demo"};
  }
  SECTION("mode NONE") {
    plugin.annotate("sidecar.istio.io/interceptionMode", "NONE");
  }
  const Outcome outcome = plugin("CHECK");
  CHECK(outcome.exit_status == 0);
  CHECK(outcome.out.empty());
  CHECK(plugin.opened.empty());
  CHECK_THAT(logged(outcome, LogLevel::info).at(0), Contains("is not redirected: "));
}

TEST_CASE("check: without IPv6 on lo the address there is not wanted", "[check]") {
  PluginRun plugin;
  plugin.network["ipv6"] = "always";
  plugin.pod.backend.loopback_has_ipv6 = false;
  REQUIRE(plugin("ADD").exit_status == 0);
  REQUIRE(plugin.pod.backend.live.loopback_addresses.empty());
  CHECK(plugin("CHECK").exit_status == 0);
}

TEST_CASE("check: a kernel without ip6tables is no drift for an IPv4 pod", "[check]") {
  PluginRun plugin;
  plugin.network["ipv6"] = "always";
  plugin.pod.backend.has_ipv6_tables = false;
  REQUIRE(plugin("ADD").exit_status == 0);
  CHECK(plugin("CHECK").exit_status == 0);
}

TEST_CASE("check: what is wrong is told as by ADD", "[check]") {
  AddedPod plugin;
  SECTION("no previous result") {
    plugin.network.erase("prevResult");
    CHECK(code_in(plugin("CHECK")) == Code::invalid_config);
  }
  SECTION("no namespace") {
    plugin.not_netns = NotNetns{.absent = true, .reason = "does not exist"};
    CHECK(code_in(plugin("CHECK")) == Code::invalid_environment);
  }
  SECTION("own namespace") {
    plugin.pod.own = true;
    CHECK(code_in(plugin("CHECK")) == Code::invalid_environment);
  }
  SECTION("no interface") {
    plugin.environment["CNI_IFNAME"] = "eth1";
    CHECK(code_in(plugin("CHECK")) == Code::netns_failure);
  }
  SECTION("an annotation that cannot be followed") {
    plugin.annotate("traffic.sidecar.istio.io/excludeInboundPorts", "http");
    CHECK(code_in(plugin("CHECK")) == Code::invalid_config);
  }
  SECTION("an old version") {
    plugin.network["cniVersion"] = "0.3.1";
    CHECK(code_in(plugin("CHECK")) == Code::incompatible_version);
  }
}

TEST_CASE("check: a failure has the code of its cause", "[check]") {
  AddedPod counting;
  const std::size_t before = counting.pod.calls.names().size();
  counting("CHECK");
  const std::size_t calls = counting.pod.calls.names().size() - before;
  for (std::size_t n = 1; n <= calls; ++n) {
    AddedPod plugin;
    plugin.pod.calls.fail(n, Error(EPERM, "look into the pod"));
    CAPTURE(n);
    CHECK(code_in(plugin("CHECK")) == Code::permission);
  }
}

}  // namespace
}  // namespace sluice::cni

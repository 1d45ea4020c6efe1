// SPDX-License-Identifier: GPL-2.0-or-later
// What the verbs share, where it shows: who a log line is about.
#include "cni/verbs.h"

#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/plugin_run.h"

namespace sluice::cni {
namespace {

std::string subject_with(const std::string& args) {
  PluginRun plugin;
  Environment environment{.command = Command::add, .container_id = "c0ffee"};
  environment.args = parse_args(args);
  const Request request{.name = "podnet", .version = "1.1.0", .config = plugin.network};
  const Host host{};
  return subject({.host = host, .environment = environment, .request = request, .config = {}});
}

TEST_CASE("verbs: a log line is about a pod, else about a container", "[verbs]") {
  CHECK(subject_with("K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web-0") == "pod \"demo/web-0\"");
  CHECK(subject_with("K8S_POD_NAME=web-0") == "container \"c0ffee\"");
  CHECK(subject_with("K8S_POD_NAMESPACE=demo") == "container \"c0ffee\"");
  CHECK(subject_with("") == "container \"c0ffee\"");
  CHECK(subject_with("K8S_POD_NAMESPACE=a\nb;K8S_POD_NAME=c") == R"(pod "a\x0ab/c")");
}

TEST_CASE("verbs: lines are added to the log in order", "[verbs]") {
  Outcome outcome;
  log(outcome, LogLevel::warn, "first");
  log(outcome, LogLevel::debug, "second");
  REQUIRE(outcome.log.size() == 2);
  CHECK(outcome.log[0].level == LogLevel::warn);
  CHECK(outcome.log[0].text == "first");
  CHECK(outcome.log[1].level == LogLevel::debug);
  CHECK(outcome.log[1].text == "second");
}

// What is wanted of a pod whose result, if any, is `previous`.
Wanted wanted_of(FakePod& pod, const RedirectConfig& config, const char* previous = "{}",
                 bool ipv6_on_loopback = true) {
  const Environment environment{.command = Command::add, .ifname = "eth0"};
  const Request request{.name = "podnet", .version = "1.1.0", .config = Json::object()};
  const Host host{};
  const Call call{.host = host, .environment = environment, .request = request, .config = {}};
  FakeNamespace opened(pod);
  return wanted_in(opened, call, network_in(opened, call, Json::parse(previous), ipv6_on_loopback),
                   config);
}

TEST_CASE("verbs: a pod's addresses are the result's, then the interface's", "[verbs]") {
  FakePod pod;
  pod.links[1].addresses = {parse_address("10.244.0.5"), parse_address("fd00::5")};
  const char* previous = R"({"ips": [{"address": "fd00::7/64"}]})";
  // The first one is IPv6 and of the result: both families.
  const Wanted wanted = wanted_of(pod, {}, previous);
  CHECK(wanted.interception.rulesets.size() == 2);
  CHECK(wanted.interception.loopback_addresses.size() == 1);
  CHECK(wanted.uncaptured.empty());
  CHECK(wanted_of(pod, {}, previous, false).interception.loopback_addresses.empty());
  const Wanted of_interface = wanted_of(pod, {});
  CHECK(of_interface.interception.rulesets.size() == 1);
  CHECK(of_interface.uncaptured == std::vector{parse_address("fd00::5")});
}

TEST_CASE("verbs: whether any address is known yet", "[verbs]") {
  FakePod pod;
  CHECK(wanted_of(pod, {}).address_known);
  pod.links[1].addresses = {parse_address("fe80::1"), parse_address("169.254.1.1")};
  CHECK_FALSE(wanted_of(pod, {}).address_known);
  CHECK(wanted_of(pod, {}, R"({"ips": [{"address": "fd00::7/64"}]})").address_known);
  pod.links[1].addresses.clear();
  CHECK_FALSE(wanted_of(pod, {}).address_known);
}

// The rules of both families, as the ADD of a network with IPv6 first leaves them.
void redirect_both(FakePod& pod) {
  pod.backend.live = interception({}, {.addresses = {parse_address("fd00::5")}});
}

TEST_CASE("verbs: what another network decided for IPv6 stays", "[verbs]") {
  FakePod pod;
  redirect_both(pod);
  pod.links.push_back({.name = "net1", .up = true});
  CHECK(wanted_of(pod, {}).interception.rulesets.size() == 2);
  CHECK(wanted_of(pod, {.ipv6 = Ipv6Policy::block}).interception.rulesets[1] ==
        redirect_ruleset({}, Family::ipv6));
  pod.links[1].addresses.push_back(parse_address("fd00::9"));
  CHECK(wanted_of(pod, {}).uncaptured.empty());
  // Unless it is told not to touch IPv6 at all.
  CHECK(wanted_of(pod, {.ipv6 = Ipv6Policy::never}).interception.rulesets.size() == 1);
}

TEST_CASE("verbs: what no other network can have decided does not stay", "[verbs]") {
  FakePod pod;
  redirect_both(pod);
  SECTION("this is the only interface") {}
  SECTION("the other one is a tunnel of the kernel's") {
    pod.links.push_back({.name = "tunl0"});
  }
  SECTION("nothing of ours is there") {
    pod.backend.remove();
    pod.links.push_back({.name = "net1", .up = true});
  }
  SECTION("IPv6 was blocked") {
    pod.backend.live = interception({.ipv6 = Ipv6Policy::block}, {});
    pod.links.push_back({.name = "net1", .up = true});
  }
  CHECK(wanted_of(pod, {}).interception.rulesets.size() == 1);
}

TEST_CASE("verbs: interfaces that connect the pod otherwise", "[verbs]") {
  const std::vector<Link> pod{{.name = "lo", .up = true, .loopback = true}, {.name = "eth0"}};
  CHECK_FALSE(is_connected_otherwise({}, "eth0"));
  CHECK_FALSE(is_connected_otherwise(pod, "eth0"));
  CHECK(is_connected_otherwise(pod, "net1"));
  CHECK_FALSE(is_connected_otherwise({{.name = "sit0"}}, "eth0"));
  CHECK(is_connected_otherwise({{.name = "sit0", .up = true}}, "eth0"));
}

}  // namespace
}  // namespace sluice::cni

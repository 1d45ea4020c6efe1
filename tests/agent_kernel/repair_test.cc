// SPDX-License-Identifier: GPL-2.0-or-later
// Repair in real namespaces, with rules that the vendor's programs have edited or written.
#include <sched.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "rules/diff.h"
#include "tests/agent_kernel/live_node.h"

namespace sluice::agent {
namespace {

using Catch::Matchers::Contains;
using kernel::difference;
using kernel::nothing;

Interception written(const RedirectConfig& config = {},
                     const std::vector<const char*>& addresses = {"10.99.0.1"}) {
  PodNetwork network;
  for (const char* address : addresses) network.addresses.push_back(parse_address(address));
  return interception(config, network);
}

RedirectConfig other_layout() {
  RedirectConfig config;
  config.layout = find_layout("istio-1.6");
  return config;
}

bool is_redirected(LivePod& pod, const Interception& wanted = written()) {
  return diff(wanted, pod.netns().backend().read()).empty();
}

// IPv4's part of what Istio's own program writes.
std::string golden(const std::string& name) {
  const std::string text = kernel::read_file(SLUICE_GOLDEN_DIR "/" + name + ".rules");
  return text.substr(0, text.find("# ip6tables"));
}

}  // namespace

TEST_CASE("live: a pod without rules gets them", "[repair]") {
  LivePod pod({"10.99.0.1"});
  const LiveNode node;
  node.add("cni-a", pod);
  LiveReconciler running(node.config());
  running.start();
  const auto start = std::chrono::steady_clock::now();
  running.cache.put(injected("web", "10.99.0.1"));
  REQUIRE(eventually([&] { return running.state("web").repaired; }));
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - start);
  WARN("repaired " << took.count() << " ms after the pod was known");
  CHECK(is_redirected(pod));
  CHECK(running.state("web").backend == "xtables");
}

TEST_CASE("live: rules that were edited are mended, foreign ones stay", "[repair]") {
  LivePod pod({"10.99.0.1"});
  pod.netns().backend().apply(written());
  pod.iptables({"-N", "FOREIGN"});
  pod.iptables({"-A", "OUTPUT", "-p", "udp", "-j", "FOREIGN"});
  const std::string before = pod.rules();
  SECTION("a rule is gone") {
    pod.iptables({"-D", "OUTPUT", "-j", "ISTIO_OUTPUT"});
  }
  SECTION("a rule lets all out") {
    pod.iptables({"-I", "ISTIO_OUTPUT", "1", "-j", "RETURN"});
  }
  SECTION("a chain is empty") {
    pod.iptables({"-F", "ISTIO_IN_REDIRECT"});
  }
  SECTION("two rules have changed places") {
    pod.iptables({"-D", "ISTIO_OUTPUT", "-d", "127.0.0.1/32", "-j", "RETURN"});
    pod.iptables({"-A", "ISTIO_OUTPUT", "-d", "127.0.0.1/32", "-j", "RETURN"});
  }
  REQUIRE_FALSE(is_redirected(pod));
  const LiveNode node;
  node.add("cni-a", pod);
  LiveReconciler running(node.config());
  running.cache.put(injected("web", "10.99.0.1"));
  running.start();
  REQUIRE(eventually([&] { return running.state("web").repaired; }));
  CHECK(is_redirected(pod));
  CHECK(running.drifts().front().condition == PodCondition::damaged);
  // Where a jump is put again it is put last: the order among foreign rules may differ.
  CHECK_THAT(pod.rules(), Contains("-A OUTPUT -p udp -j FOREIGN"));
  CHECK(before.size() == pod.rules().size());
}

TEST_CASE("live: rules of another layout are left, or rewritten if asked for", "[repair]") {
  LivePod pod({"10.99.0.1"});
  const LiveNode node;
  node.add("cni-a", pod);
  SECTION("ours") {
    pod.netns().backend().apply(written(other_layout()));
  }
  SECTION("Istio's own") {
    pod.netns().restore(Family::ipv4, golden("istio-1.6-defaults"));
  }
  const std::string before = pod.rules();
  {
    LiveReconciler running(node.config());
    running.cache.put(injected("web", "10.99.0.1"));
    running.start();
    REQUIRE(running.becomes("web", PodCondition::outdated));
    REQUIRE(eventually([&] { return running.actions.events("OutdatedRules").size() == 1; }));
    CHECK(difference(before, pod.rules()) == nothing);
  }
  LiveReconciler running(node.config({.reconfigure = true}));
  running.cache.put(injected("web", "10.99.0.1"));
  running.start();
  REQUIRE(eventually([&] { return running.state("web").repaired; }));
  CHECK(is_redirected(pod));
  CHECK(running.done() == std::vector<std::string>{"reconfigure success"});
}

TEST_CASE("live: rules that Istio's own program wrote are intact", "[repair]") {
  LivePod pod({"10.99.0.1"});
  pod.netns().restore(Family::ipv4, golden("default"));
  const std::string before = pod.netns().state();
  const LiveNode node;
  node.add("cni-a", pod);
  LiveReconciler running(node.config());
  running.cache.put(injected("web", "10.99.0.1"));
  running.start();
  REQUIRE(running.becomes("web", PodCondition::intact));
  CHECK_FALSE(running.state("web").repaired);
  CHECK(difference(before, pod.netns().state()) == nothing);
}

TEST_CASE("live: a namespace that holds another address is not touched", "[repair]") {
  LivePod other({"10.99.0.2"});
  const LiveNode node;
  node.add("cni-a", other);
  LiveReconciler running(node.config());
  running.reconciler().remember(
      {.name_space = "demo", .name = "web", .uid = "uid-of-web", .netns = "/run/netns/cni-a"});
  running.cache.put(injected("web", "10.99.0.1"));
  running.start();
  REQUIRE(eventually([&] { return !running.drifts().empty(); }));
  CHECK(running.state("web").condition == PodCondition::unreadable);
  CHECK(other.rules() == nothing);
}

TEST_CASE("live: the host's namespace is not touched, whatever leads to it", "[repair]") {
  LivePod host({"10.99.0.1"});
  const LiveNode node(host.netns().path());
  node.add("cni-a", host);
  LiveReconciler running(node.config());
  running.cache.put(injected("web", "10.99.0.1"));
  running.start();
  REQUIRE(eventually([&] { return !running.drifts().empty(); }));
  CHECK(running.state("web").condition == PodCondition::unreadable);
  CHECK(host.rules() == nothing);
}

TEST_CASE("live: a namespace that only a process leads to", "[repair]") {
  LivePod pod({"10.99.0.1"});
  // Sleeps in the namespace as the pod's own processes do.
  kernel::Companion process([&](const kernel::Companion::Line& line) {
    if (setns(pod.netns().fd(), CLONE_NEWNET) != 0) throw std::runtime_error("setns");
    line.ready();
    while (!line.stopping(100'000)) continue;
  });
  const LiveNode node;
  node.add_process(process.pid());
  LiveReconciler running(node.config());
  running.cache.put(injected("web", "10.99.0.1"));
  running.start();
  REQUIRE(eventually([&] { return running.state("web").repaired; }));
  CHECK(is_redirected(pod));
  CHECK(process.stop() == 0);
}

TEST_CASE("live: no family is added that the sidecar is not known to listen on", "[repair]") {
  LivePod pod({"10.99.0.1", "fd99::1"});
  const LiveNode node;
  node.add("cni-a", pod);
  cni::PluginConfig plugin;
  plugin.defaults.ipv6 = Ipv6Policy::always;
  PodRecord record = injected("web", "10.99.0.1");
  record.addresses.push_back(parse_address("fd99::1"));
  SECTION("where nothing of it is there") {
    LiveReconciler running(node.config(), plugin);
    running.cache.put(record);
    running.start();
    REQUIRE(eventually([&] { return running.state("web").repaired; }));
    CHECK_THAT(pod.netns().save(Family::ipv4), Contains("ISTIO_OUTPUT"));
    CHECK(pod.netns().save(Family::ipv6) == nothing);
    CHECK(pod.netns().addresses().find("00000000000000000000000000000006") == std::string::npos);
  }
  SECTION("where something of it is there, it is mended") {
    const Interception both = written(plugin.defaults, {"10.99.0.1", "fd99::1"});
    pod.netns().backend().apply(both);
    pod.netns().must({"ip6tables-legacy", "-t", "nat", "-F", "OUTPUT"});
    LiveReconciler running(node.config(), plugin);
    running.cache.put(record);
    running.start();
    REQUIRE(eventually([&] { return running.state("web").repaired; }));
    CHECK(is_redirected(pod, both));
  }
}

TEST_CASE("live: mode TPROXY is repaired with its routes", "[repair]") {
  LivePod pod({"10.99.0.1"});
  RedirectConfig config;
  config.mode = InterceptionMode::tproxy;
  const Interception wanted = written(config);
  pod.netns().backend().apply(wanted);
  SECTION("the route is gone") {
    pod.netns().must({"ip", "rule", "del", "fwmark", "1337", "lookup", "133"});
  }
  SECTION("the mark is gone") {
    pod.netns().must({"iptables-legacy", "-t", "mangle", "-F", "ISTIO_DIVERT"});
  }
  const LiveNode node;
  node.add("cni-a", pod);
  LiveReconciler running(node.config());
  running.cache.put(
      injected("web", "10.99.0.1", R"("sidecar.istio.io/interceptionMode":"TPROXY")"));
  running.start();
  REQUIRE(eventually([&] { return running.state("web").repaired; }));
  CHECK(is_redirected(pod, wanted));
}

TEST_CASE("live: modes that do not write leave the rules alone", "[repair]") {
  LivePod pod({"10.99.0.1"});
  const LiveNode node;
  node.add("cni-a", pod);
  const auto [mode, reason] =
      GENERATE(table<RepairMode, std::string>({{RepairMode::report, "BrokenPod"},
                                               {RepairMode::label, "LabelBrokenPod"},
                                               {RepairMode::remove, "DeleteBrokenPod"}}));
  LiveReconciler running(node.config({.mode = mode, .reconfigure = true}));
  running.cache.put(injected("web", "10.99.0.1"));
  running.start();
  INFO(reason);
  const std::string& event = reason;  // clang 14 cannot capture a structured binding
  REQUIRE(eventually([&] { return running.actions.events(event).size() == 1; }));
  CHECK(pod.rules() == nothing);
}

}  // namespace sluice::agent

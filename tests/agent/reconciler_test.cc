// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/reconciler.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "rules/diff.h"
#include "tests/agent/fake_node.h"
#include "tests/agent/live_rules.h"

namespace sluice::agent {
namespace {

using Catch::Matchers::Contains;
using Texts = std::vector<std::string>;

Interception written(const RedirectConfig& config = {}) {
  return interception(config, {.addresses = {parse_address("10.0.0.1")}});
}

RedirectConfig other_layout() {
  RedirectConfig config;
  config.layout = find_layout("istio-1.6");
  return config;
}

bool is_redirected(FakeNode& node, FakePod& pod) {
  return node.with(pod, [](FakePod& p) { return diff(written(), p.backend.live).empty(); });
}

bool has(const Texts& all, const std::string& text) {
  return std::find(all.begin(), all.end(), text) != all.end();
}

PodRecord with_uid(PodRecord pod, const std::string& uid) {
  pod.uid = uid;
  return pod;
}

}  // namespace

TEST_CASE("repair modes are read, Istio's names too", "[reconciler]") {
  CHECK(parse_repair_mode("repair") == RepairMode::repair);
  CHECK(parse_repair_mode("repairPods") == RepairMode::repair);
  CHECK(parse_repair_mode("labelPods") == RepairMode::label);
  CHECK(parse_repair_mode("delete") == RepairMode::remove);
  CHECK(parse_repair_mode("deletePods") == RepairMode::remove);
  CHECK(parse_repair_mode("report") == RepairMode::report);
  CHECK(parse_repair_mode("off") == RepairMode::off);
  CHECK(std::string(to_string(RepairMode::remove)) == "delete");
  for (const char* wrong : {"", "Repair", "remove", "repair "}) {
    CHECK_THROWS_WITH(parse_repair_mode(wrong), Contains(quote(wrong)));
  }
}

TEST_CASE("a mode that acts by the API server needs one", "[reconciler]") {
  FakeNode node;
  PodCache cache;
  const auto make = [&](RepairMode mode) {
    return Reconciler({.mode = mode}, {}, cache, node.opener(), nullptr, {}, {});
  };
  CHECK_THROWS_AS(make(RepairMode::label), Error);
  CHECK_THROWS_AS(make(RepairMode::remove), Error);
  CHECK_NOTHROW(make(RepairMode::repair));
}

TEST_CASE("a pod that started without rules is repaired at once", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  RunningReconciler running(node);
  running.start();
  // Nothing waits for a crash: the pod has just got its address.
  running.cache.put(injected("web", "10.0.0.1"));
  REQUIRE(eventually([&] { return running.state("web").repaired; }));
  CHECK(is_redirected(node, pod));
  CHECK(running.state("web").backend == "fake");
  REQUIRE(eventually([&] { return running.actions.events("RepairedPod").size() == 1; }));
  const ActionLog::Event event = running.actions.events().front();
  CHECK(event.pod == "web");
  CHECK(event.type == "Normal");
  CHECK_THAT(event.message, Contains("missing"));
  CHECK(running.done() == Texts{"repair success"});
  REQUIRE(running.drifts().size() == 1);
  CHECK(running.drifts().front().condition == PodCondition::missing);
  CHECK(node.calls(pod, "apply") == 1);
}

TEST_CASE("rules are read and written as the plugin is configured to", "[reconciler]") {
  const BackendSettings settings{.choice = BackendChoice::nftables, .nft_table = "mesh"};
  cni::PluginConfig plugin;
  plugin.backend = settings;
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  RunningReconciler running(node, {}, plugin);
  running.start();
  running.cache.put(injected("web", "10.0.0.1"));
  REQUIRE(eventually([&] { return running.state("web").repaired; }));
  node.with(pod, [&](const FakePod& p) {
    CHECK(p.settings.size() >= 2);
    for (const BackendSettings& asked : p.settings) CHECK(asked == settings);
  });
}

TEST_CASE("pods that were there before are repaired by the first pass", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  RunningReconciler running(node);
  running.cache.on_change({});  // nobody tells of it
  running.cache.put(injected("web", "10.0.0.1"));
  running.start();
  CHECK(eventually([&] { return is_redirected(node, pod); }));
}

TEST_CASE("damage is found by the next pass without an event", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  pod.backend.live = written();
  RunningReconciler running(node, {.interval_seconds = 1});
  running.cache.put(injected("web", "10.0.0.1"));
  running.start();
  REQUIRE(running.becomes("web", PodCondition::intact));
  CHECK_FALSE(running.state("web").repaired);
  node.with(pod, [](FakePod& p) { nat_rules(p.backend.live, Family::ipv4, "OUTPUT").clear(); });
  REQUIRE(eventually([&] { return running.state("web").repaired; }));
  CHECK(is_redirected(node, pod));
  CHECK(running.drifts().front().condition == PodCondition::damaged);
  CHECK_THAT(running.drifts().front().why, Contains("-A OUTPUT"));
}

TEST_CASE("a plugin that is just writing is not disturbed", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  node.after_read = [](FakePod& p) { p.backend.live = written(); };
  RunningReconciler running(node);
  running.start();
  running.cache.put(injected("web", "10.0.0.1"));
  REQUIRE(running.becomes("web", PodCondition::intact));
  CHECK_FALSE(running.state("web").repaired);
  CHECK(node.calls(pod, "apply") == 0);
  CHECK(running.drifts().empty());
  CHECK(running.done().empty());
}

TEST_CASE("events of a pod that is well cost nothing", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  FakePod& later = node.add("cni-b", "10.0.0.2");
  pod.backend.live = written();
  later.backend.live = written();
  RunningReconciler running(node);
  running.start();
  PodRecord record = injected("web", "10.0.0.1");
  running.cache.put(record);
  REQUIRE(running.becomes("web", PodCondition::intact));
  const std::size_t before = node.calls(pod, "read");
  // What does not matter changes, for longer than the interval between two looks.
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2500);
  while (std::chrono::steady_clock::now() < end) {
    record.validation_failed = !record.validation_failed;
    running.cache.put(record);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(node.calls(pod, "read") == before);
  // What matters is looked at.
  record = injected("web", "10.0.0.1", R"("traffic.sidecar.istio.io/excludeOutboundPorts":"9")");
  running.cache.put(record);
  CHECK(eventually([&] { return node.calls(pod, "read") > before; }));
}

TEST_CASE("a storm of events is at most one look per pod and second", "[reconciler]") {
  constexpr int pods = 250;
  FakeNode node;
  std::vector<FakePod*> all;
  for (int i = 0; i < pods; ++i) {
    const std::string number = std::to_string(i);
    all.push_back(&node.add("cni-" + number, "10.0.1." + number));
    all.back()->backend.live = written();
  }
  RunningReconciler running(node);
  const auto start = std::chrono::steady_clock::now();
  running.start();
  const auto end = start + std::chrono::seconds(3);
  for (int n = 0; std::chrono::steady_clock::now() < end; ++n) {
    const std::string number = std::to_string(n % pods);
    // Each event changes something that matters.
    running.cache.put(injected("web-" + number, "10.0.1." + number,
                               R"("sidecar.istio.io/inject":"true","sidecar.istio.io/uid":")" +
                                   std::to_string(n) + R"(")"));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  running.stop();
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start)
          .count();
  // The first look and one for each second after it.
  for (FakePod* pod : all) {
    CHECK(node.calls(*pod, "read") <= static_cast<std::size_t>(seconds) + 2);
  }
}

TEST_CASE("what is not to be looked at", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  RunningReconciler running(node);
  PodRecord record = injected("web", "10.0.0.1");
  SECTION("a pod in the host's network") {
    record.host_network = true;
  }
  SECTION("a pod that has finished") {
    record.finished = true;
  }
  running.cache.put(record);
  running.cache.put(injected("other", ""));
  running.start();
  REQUIRE(running.becomes("other", PodCondition::waiting));
  CHECK(node.calls(pod, "read") == 0);
  CHECK(running.reconciler().states().size() == 1);
}

TEST_CASE("a pod that is to pass is left alone", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  PodRecord record = injected("web", "10.0.0.1", R"("sidecar.istio.io/inject":"false")");
  SECTION("with nothing of ours") {
    RunningReconciler running(node);
    running.cache.put(record);
    running.start();
    REQUIRE(running.becomes("web", PodCondition::passed));
    CHECK(running.state("web").why.find("rules") == std::string::npos);
  }
  SECTION("with rules, which are mentioned") {
    pod.backend.live = written();
    RunningReconciler running(node);
    running.cache.put(record);
    running.start();
    REQUIRE(running.becomes("web", PodCondition::passed));
    CHECK_THAT(running.state("web").why, Contains("are left alone"));
    CHECK(running.drifts().empty());
  }
  CHECK(node.calls(pod, "apply") + node.calls(pod, "remove") == 0);
}

TEST_CASE("a pod that cannot be followed is reported once and not touched", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  RunningReconciler running(node, {.interval_seconds = 1});
  PodRecord record = injected("web", "10.0.0.1");
  std::string word;
  SECTION("an annotation") {
    record =
        injected("web", "10.0.0.1", R"("traffic.sidecar.istio.io/excludeOutboundPorts":"x\ny")");
    word = "excludeOutboundPorts";
  }
  SECTION("no JSON") {
    record.object = "{";
    word = "the pod";
  }
  SECTION("another kind") {
    record.object = R"({"kind":"Node"})";
    word = "Node";
  }
  running.cache.put(record);
  running.start();
  REQUIRE(running.becomes("web", PodCondition::invalid));
  CHECK_THAT(running.state("web").why, Contains(word));
  REQUIRE(eventually([&] { return running.actions.events("InvalidSettings").size() == 1; }));
  CHECK(running.actions.events("InvalidSettings").front().message.find('\n') == std::string::npos);
  CHECK(node.calls(pod, "read") == 0);
}

TEST_CASE("a namespace that comes late is found, and nobody is alarmed", "[reconciler]") {
  FakeNode node;
  RunningReconciler running(node);
  running.cache.put(injected("web", "10.0.0.1"));
  running.start();
  REQUIRE(running.becomes("web", PodCondition::unreadable));
  CHECK_THAT(running.state("web").why, Contains("10.0.0.1"));
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  REQUIRE(running.becomes("web", PodCondition::intact));
  CHECK(is_redirected(node, pod));
}

TEST_CASE("a namespace that stays away is told of, without an event", "[reconciler]") {
  FakeNode node;
  RunningReconciler running(node);
  running.cache.put(injected("web", "10.0.0.1"));
  running.start();
  CHECK(eventually([&] { return !running.drifts().empty(); }));
  CHECK(running.drifts().front().condition == PodCondition::unreadable);
  CHECK(running.actions.events().empty());
}

TEST_CASE("a pod that cannot be read does not hold up the others", "[reconciler]") {
  FakeNode node;
  FakePod& bad = node.add("cni-a", "10.0.0.1");
  FakePod& good = node.add("cni-b", "10.0.0.2");
  // All that is asked of it fails, the opening by the index aside.
  for (std::size_t i = 3; i < 1000; ++i) bad.calls.fail(i, Error(EPERM, "look into it"));
  RunningReconciler running(node);
  running.cache.put(injected("bad", "10.0.0.1"));
  running.cache.put(injected("good", "10.0.0.2"));
  running.start();
  CHECK(eventually([&] { return is_redirected(node, good); }));
  REQUIRE(running.becomes("bad", PodCondition::unreadable));
  CHECK_THAT(running.state("bad").why, Contains("look into it"));
}

TEST_CASE("a repair that fails is tried again and told once", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  pod.backend.has_ipv6_tables = false;
  cni::PluginConfig plugin;
  plugin.defaults.dual_stack = true;
  RunningReconciler running(node, {}, plugin);
  PodRecord record = injected("web", "10.0.0.1");
  record.addresses.push_back(parse_address("fd00::1"));
  running.cache.put(record);
  running.start();
  REQUIRE(eventually([&] { return running.done().size() >= 3; }));
  CHECK(running.done().front() == "repair fail");
  CHECK_THAT(running.state("web").why, Contains("could not be written"));
  REQUIRE(eventually([&] { return !running.actions.events("RepairFailed").empty(); }));
  node.with(pod, [](FakePod& p) { p.backend.has_ipv6_tables = true; });
  REQUIRE(eventually([&] { return running.state("web").repaired; }));
  CHECK(running.actions.events("RepairFailed").size() == 1);
}

TEST_CASE("an API server that is away holds up no repair", "[reconciler]") {
  FakeNode node;
  std::vector<FakePod*> pods;
  RunningReconciler running(node);
  running.actions.hold();
  for (int i = 1; i <= 20; ++i) {
    const std::string number = std::to_string(i);
    pods.push_back(&node.add("cni-" + number, "10.0.0." + number));
    running.cache.put(injected("web-" + number, "10.0.0." + number));
  }
  running.start();
  for (FakePod* pod : pods) CHECK(eventually([&] { return is_redirected(node, *pod); }));
  CHECK(running.actions.events().empty());
  running.actions.let_go();
  CHECK(eventually([&] { return running.actions.events("RepairedPod").size() == pods.size(); }));
}

TEST_CASE("an event that is refused is written later", "[reconciler]") {
  FakeNode node;
  node.add("cni-a", "10.0.0.1");
  RunningReconciler running(node);
  running.actions.refuse(1);
  running.cache.put(injected("web", "10.0.0.1"));
  running.start();
  CHECK(eventually([&] { return running.actions.events("RepairedPod").size() == 1; }));
  CHECK(running.actions.asked() == 2);
}

TEST_CASE("a pod whose rules are undone again and again is repaired more slowly", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  RunningReconciler running(node);
  running.cache.put(injected("web", "10.0.0.1"));
  running.start();
  // Somebody takes out the rules as soon as they are seen.
  const auto undone = [&] {
    node.with(pod, [](FakePod& p) { p.backend.live = {}; });
    return !running.actions.events("RepairUndone").empty();
  };
  REQUIRE(eventually(undone));
  CHECK(running.actions.events("RepairUndone").size() == 1);
  const Texts done = running.done();
  CHECK(std::count(done.begin(), done.end(), "repair success") == 3);
  CHECK(has(done, "repair skip"));
  CHECK_THAT(running.state("web").why, Contains("undoes every repair"));
}

TEST_CASE("a whole rule set of another configuration", "[reconciler]") {
  FakeNode node;
  FakePod& first = node.add("cni-a", "10.0.0.1");
  FakePod& second = node.add("cni-b", "10.0.0.2");
  first.backend.live = written(other_layout());
  second.backend.live = written(other_layout());
  RepairConfig config{.interval_seconds = 1};
  const auto start = [](RunningReconciler& running) {
    running.cache.put(injected("a", "10.0.0.1"));
    running.cache.put(injected("b", "10.0.0.2"));
    running.start();
  };
  SECTION("is reported once and left") {
    RunningReconciler running(node, config);
    start(running);
    REQUIRE(eventually([&] { return running.actions.events("OutdatedRules").size() == 2; }));
    const std::size_t reads = node.calls(first, "read");
    REQUIRE(eventually([&] { return node.calls(first, "read") > reads + 1; }));
    CHECK(running.state("a").condition == PodCondition::outdated);
    CHECK(running.actions.events("OutdatedRules").size() == 2);
    CHECK(running.drifts().size() == 2);
    CHECK(node.calls(first, "apply") == 0);
  }
  SECTION("is left in mode delete") {
    config.mode = RepairMode::remove;
    config.reconfigure = true;
    RunningReconciler running(node, config);
    start(running);
    REQUIRE(eventually([&] { return running.actions.events("OutdatedRules").size() == 2; }));
    CHECK(running.actions.removed().empty());
    CHECK(node.calls(first, "apply") == 0);
  }
  SECTION("is rewritten if that is asked for, so many a minute") {
    config.reconfigure = true;
    config.reconfigure_per_minute = 1;
    RunningReconciler running(node, config);
    start(running);
    REQUIRE(eventually([&] { return running.done() == Texts{"reconfigure success"}; }));
    const bool first_is_done = is_redirected(node, first);
    FakePod& waiting = first_is_done ? second : first;
    const std::size_t reads = node.calls(waiting, "read");
    REQUIRE(eventually([&] { return node.calls(waiting, "read") > reads + 1; }));
    CHECK(node.calls(waiting, "apply") == 0);
    CHECK(running.state(first_is_done ? "b" : "a").condition == PodCondition::outdated);
    CHECK(running.actions.events("ReconfiguredPod").size() == 1);
  }
}

TEST_CASE("mode report tells and does nothing", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  RunningReconciler running(node, {.mode = RepairMode::report, .interval_seconds = 1});
  running.cache.put(injected("web", "10.0.0.1"));
  running.start();
  REQUIRE(eventually([&] { return running.actions.events("BrokenPod").size() == 1; }));
  const std::size_t reads = node.calls(pod, "read");
  REQUIRE(eventually([&] { return node.calls(pod, "read") > reads + 1; }));
  CHECK(running.actions.events().size() == 1);
  CHECK(running.actions.events().front().type == "Warning");
  CHECK(running.drifts().size() == 1);
  CHECK(node.calls(pod, "apply") == 0);
  CHECK(running.state("web").condition == PodCondition::missing);
}

TEST_CASE("mode label", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  RunningReconciler running(
      node, {.mode = RepairMode::label, .interval_seconds = 1, .label_key = "broken"});
  PodRecord record = injected("web", "10.0.0.1");
  SECTION("labels a pod once") {}
  SECTION("labels it although that is refused at first") {
    running.actions.refuse(2);
  }
  running.cache.put(record);
  running.start();
  REQUIRE(eventually([&] { return running.actions.events("LabelBrokenPod").size() == 1; }));
  const std::size_t reads = node.calls(pod, "read");
  REQUIRE(eventually([&] { return node.calls(pod, "read") > reads + 1; }));
  CHECK(running.actions.labels() == Texts{"web broken=true"});
  CHECK(has(running.done(), "label success"));
  CHECK(node.calls(pod, "apply") == 0);
}

TEST_CASE("mode delete", "[reconciler]") {
  FakeNode node;
  node.add("cni-a", "10.0.0.1");
  RunningReconciler running(node, {.mode = RepairMode::remove, .interval_seconds = 1});
  PodRecord record = injected("web", "10.0.0.1");
  SECTION("deletes what its owner makes again") {
    running.cache.put(record);
    running.start();
    REQUIRE(eventually([&] { return running.actions.events("DeleteBrokenPod").size() == 1; }));
    CHECK(running.actions.removed() == Texts{"uid-of-web"});
    CHECK(running.done() == Texts{"delete success"});
  }
  SECTION("labels what nobody makes again") {
    record.standalone = true;
    running.cache.put(record);
    running.start();
    REQUIRE(eventually([&] { return running.actions.events("LabelBrokenPod").size() == 1; }));
    CHECK(running.actions.removed().empty());
  }
  SECTION("reports a static pod") {
    record.mirror_uid = "another";
    running.cache.put(record);
    running.start();
    REQUIRE(eventually([&] { return running.actions.events("BrokenPod").size() == 1; }));
    CHECK(running.actions.removed().empty());
    CHECK(running.done() == Texts{"delete skip"});
  }
  SECTION("at most one a second") {
    node.add("cni-b", "10.0.0.2");
    node.add("cni-c", "10.0.0.3");
    const auto start = std::chrono::steady_clock::now();
    running.cache.put(record);
    running.cache.put(injected("b", "10.0.0.2"));
    running.cache.put(injected("c", "10.0.0.3"));
    running.start();
    REQUIRE(eventually([&] { return running.actions.removed().size() == 3; }));
    CHECK(std::chrono::steady_clock::now() - start >= std::chrono::seconds(2));
  }
  SECTION("only what is known to be broken, where it cannot be read") {
    running.cache.put(injected("unknown", "10.0.0.8"));
    record = injected("failed", "10.0.0.9");
    record.validation_failed = true;
    running.cache.put(record);
    running.start();
    REQUIRE(eventually([&] { return running.drifts().size() == 2; }));
    REQUIRE(eventually([&] { return !running.actions.removed().empty(); }));
    CHECK(running.actions.removed() == Texts{"uid-of-failed"});
  }
}

TEST_CASE("mode off looks at nothing", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  RunningReconciler running(node, {.mode = RepairMode::off, .interval_seconds = 1});
  running.start();
  running.cache.put(injected("web", "10.0.0.1"));
  running.reconciler().remember({.name_space = "demo", .name = "web", .netns = "/run/netns/cni-a"});
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  running.stop();
  CHECK(node.opened().empty());
  CHECK(node.calls(pod, "read") == 0);
  CHECK(running.reconciler().states().empty());
}

TEST_CASE("a pod that is gone is forgotten, its successor is another pod", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  RunningReconciler running(node);
  running.cache.put(injected("web", "10.0.0.1"));
  running.start();
  REQUIRE(eventually([&] { return running.state("web").repaired; }));
  running.cache.erase("demo", "web", "uid-of-web");
  CHECK(running.reconciler().states().empty());
  node.with(pod, [](FakePod& p) { p.backend.live = written(); });
  running.cache.put(with_uid(injected("web", "10.0.0.1"), "another"));
  REQUIRE(eventually([&] { return running.state("web").uid == "another"; }));
  REQUIRE(running.becomes("web", PodCondition::intact));
  CHECK_FALSE(running.state("web").repaired);
}

TEST_CASE("what the plugin was told is used and looked at again", "[reconciler]") {
  FakeNode node;
  FakePod& pod = node.add("cni-a", "10.0.0.1");
  pod.backend.live = written();
  RunningReconciler running(node);
  running.cache.put(injected("web", "10.0.0.1"));
  running.start();
  REQUIRE(running.becomes("web", PodCondition::intact));
  // The sandbox is made anew with the same address: the pod's record does not change.
  std::filesystem::remove(node.netns_dir() + "/cni-a");
  FakePod& next = node.add("cni-b", "10.0.0.1");
  running.reconciler().remember(
      {.name_space = "demo", .name = "web", .uid = "uid-of-web", .netns = "/run/netns/cni-b"});
  CHECK(eventually([&] { return is_redirected(node, next); }));
}

}  // namespace sluice::agent

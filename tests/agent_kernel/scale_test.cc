// SPDX-License-Identifier: GPL-2.0-or-later
// As many pods as a node may have. What it costs is printed.
#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/agent_kernel/live_node.h"

namespace sluice::agent {
namespace {

constexpr int pods = 250;
using Seconds = std::chrono::duration<double>;

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::string address(int i) {
  return "10.99.1." + std::to_string(i + 1);
}

std::size_t repaired(const RunningReconciler& running) {
  std::size_t count = 0;
  for (const PodState& pod : running.reconciler().states()) count += pod.repaired ? 1U : 0U;
  return count;
}

std::size_t intact(const RunningReconciler& running) {
  std::size_t count = 0;
  for (const PodState& pod : running.reconciler().states()) {
    count += pod.condition == PodCondition::intact ? 1U : 0U;
  }
  return count;
}

}  // namespace

TEST_CASE("live: 250 pods", "[scale]") {
  const LiveNode node;
  std::vector<std::unique_ptr<LivePod>> all;
  std::vector<PodRecord> records;
  for (int i = 0; i < pods; ++i) {
    all.push_back(std::make_unique<LivePod>(std::vector{address(i)}));
    node.add("cni-" + std::to_string(i), *all.back());
    records.push_back(injected("web-" + std::to_string(i), address(i)));
  }
  const auto measure = [&](const char* what, const auto& count) {
    LiveReconciler running(node.config());
    running.cache.replace(records);
    const auto start = std::chrono::steady_clock::now();
    const double before = processor_seconds();
    running.start();
    REQUIRE(eventually([&] { return count(running) == pods; }));
    const Seconds took = std::chrono::steady_clock::now() - start;
    WARN(what << " of " << pods << " pods: " << took.count() << " s, "
              << processor_seconds() - before << " s of a processor");
  };
  {
    const RepairConfig config = node.config();
    PodNamespaces namespaces(config.proc, config.netns_dirs, kernel::open_pod_namespace);
    const auto start = std::chrono::steady_clock::now();
    namespaces.scan();
    const Seconds took = std::chrono::steady_clock::now() - start;
    WARN("the namespaces of " << pods << " pods: " << took.count() << " s");
  }
  measure("repair", repaired);
  measure("a pass", intact);
}

TEST_CASE("live: 1,000 events a second over 250 pods", "[scale]") {
  const LiveNode node;
  std::vector<std::unique_ptr<LivePod>> all;
  LiveReconciler running(node.config());
  for (int i = 0; i < pods; ++i) {
    all.push_back(std::make_unique<LivePod>(std::vector{address(i)}));
    node.add("cni-" + std::to_string(i), *all.back());
    running.cache.put(injected("web-" + std::to_string(i), address(i)));
  }
  running.start();
  REQUIRE(eventually([&] { return repaired(running) == pods; }));
  const double before = processor_seconds();
  const auto start = std::chrono::steady_clock::now();
  constexpr int events = 3000;
  for (int n = 0; n < events; ++n) {
    PodRecord record = injected("web-" + std::to_string(n % pods), address(n % pods));
    record.validation_failed = n / pods % 2 == 0;  // changes, and nothing follows from it
    running.cache.put(record);
    std::this_thread::sleep_until(start + std::chrono::milliseconds(n + 1));
  }
  const Seconds took = std::chrono::steady_clock::now() - start;
  WARN(events << " events in " << took.count() << " s: " << processor_seconds() - before
              << " s of a processor");
  // A pod that comes in the middle of it is repaired as well as ever.
  LivePod late({"10.99.2.1"});
  node.add("cni-late", late);
  running.cache.put(injected("late", "10.99.2.1"));
  CHECK(eventually([&] { return running.state("late").repaired; }));
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tell/metrics.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <ctime>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "cni/version.h"

namespace sluice::agent {
namespace {

// The value of the series, whatever the order of its labels; -1 if there is none.
double value_of(const Metrics& metrics, const std::string& name,
                const std::vector<std::string>& labels = {}) {
  std::istringstream text(metrics.text());
  for (std::string line; std::getline(text, line);) {
    if (line.rfind(name + (labels.empty() ? " " : "{"), 0) != 0) continue;
    const bool all = std::all_of(labels.begin(), labels.end(), [&](const std::string& label) {
      return line.find(label) != std::string::npos;
    });
    if (all) return std::stod(line.substr(line.rfind(' ') + 1));
  }
  return -1;
}

std::size_t series_of(const Metrics& metrics, const std::string& name) {
  std::istringstream text(metrics.text());
  std::size_t found = 0;
  for (std::string line; std::getline(text, line);) {
    if (line.rfind(name + "{", 0) == 0) ++found;
  }
  return found;
}

cni::ReportMessage report(const std::string& reason, int code = 0) {
  return {.command = "ADD",
          .sandbox = {},
          .outcome = "passed",
          .reason = reason,
          .code = code,
          .microseconds = 2100,
          .backend = "",
          .plugin_version = "0.1.0",
          .log = {}};
}

}  // namespace

TEST_CASE("a report of the plugin is counted by outcome, reason and code, and timed") {
  Metrics metrics;
  metrics.plugin_report(report("not-injected"));
  metrics.plugin_report(report("not-injected"));
  cni::ReportMessage failed = report("", 11);
  failed.outcome = "failed";
  failed.backend = "xtables";
  metrics.plugin_report(failed);
  CHECK(value_of(metrics, "sluice_cni_requests_total",
                 {R"(command="ADD")", R"(outcome="passed")", R"(reason="not-injected")",
                  R"(code="0")"}) == 2);
  CHECK(value_of(metrics, "sluice_cni_requests_total", {R"(outcome="failed")", R"(code="11")"}) ==
        1);
  CHECK(value_of(metrics, "sluice_cni_request_seconds_bucket", {R"(le="0.002")"}) == 0);
  CHECK(value_of(metrics, "sluice_cni_request_seconds_bucket", {R"(le="0.003")"}) == 3);
  CHECK(value_of(metrics, "sluice_agent_backend", {R"(backend="xtables")"}) == 1);
}

TEST_CASE("a report of a newer plugin, or of none, makes no series without end") {
  Metrics metrics;
  for (int i = 0; i < 2000; ++i) metrics.plugin_report(report("r-" + std::to_string(i), i));
  for (const char* odd : {"UPPER", "two words", "quote\"", "new\nline", "\xff", "under_score"}) {
    metrics.plugin_report(report(odd, -1));
  }
  metrics.plugin_report(report(std::string(33, 'a')));
  cni::ReportMessage unknown = report("");
  unknown.command = "EVIL\"} 1\n";
  unknown.outcome = std::string(1000, 'x');
  unknown.backend = "ebpf";
  metrics.plugin_report(unknown);
  // 64 reasons with 64 codes, "other" of both, and the last three.
  CHECK(series_of(metrics, "sluice_cni_requests_total") <= 70);
  CHECK(value_of(metrics, "sluice_cni_requests_total",
                 {R"(command="other")", R"(outcome="other")"}) == 1);
  CHECK(value_of(metrics, "sluice_cni_requests_total", {R"(reason="other")", R"(code="other")"}) >
        1900);
  CHECK(value_of(metrics, "sluice_agent_backend", {R"(backend="other")"}) == 1);
  const std::string text = metrics.text();
  CHECK(text.find("EVIL") == std::string::npos);
  CHECK(text.find('\xff') == std::string::npos);
}

TEST_CASE("the installation is counted under our names and Istio's") {
  Metrics metrics;
  metrics.install_pass({.outcome = InstallOutcome::waiting, .why = "no network yet"}, 0.001);
  CHECK(value_of(metrics, "sluice_agent_install_ready") == 0);
  CHECK(series_of(metrics, "istio_cni_installs_total") == 0);
  metrics.install_pass({.outcome = InstallOutcome::failed, .binary_failed = true}, 0.001);
  metrics.install_pass({.outcome = InstallOutcome::failed}, 0.001);
  metrics.install_pass({.outcome = InstallOutcome::blocked}, 0.001);
  metrics.install_pass({.outcome = InstallOutcome::installed}, 0.3);
  const auto istio = [&](const char* result) {
    return value_of(metrics, "istio_cni_installs_total", {result});
  };
  CHECK(istio(R"(result="SUCCESS")") == 1);
  CHECK(istio(R"(result="COPY_BINARIES_FAILURE")") == 1);
  CHECK(istio(R"(result="CREATE_CNI_CONFIG_FAILURE")") == 2);
  // Health judges that, not the last pass.
  CHECK(value_of(metrics, "istio_cni_install_ready") == 0);
  metrics.install_ready(true);
  metrics.install_pass({.outcome = InstallOutcome::waiting, .why = "half-written"}, 0.001);
  CHECK(value_of(metrics, "istio_cni_install_ready") == 1);
  CHECK(value_of(metrics, "sluice_agent_install_ready") == 1);
  metrics.install_ready(false);
  CHECK(value_of(metrics, "istio_cni_install_ready") == 0);
  CHECK(value_of(metrics, "sluice_agent_install_ready") == 0);
  CHECK(value_of(metrics, "sluice_agent_install_seconds_count") == 6);
  CHECK(value_of(metrics, "sluice_agent_install_passes_total", {R"(outcome="waiting")"}) == 2);
  metrics.install_undone("entry");
  metrics.install_undone("/host/etc/cni/net.d/10-x.conflist");
  CHECK(value_of(metrics, "sluice_agent_install_undone_total", {R"(what="entry")"}) == 1);
  CHECK(value_of(metrics, "sluice_agent_install_undone_total", {R"(what="other")"}) == 1);
}

TEST_CASE("repairs are counted under Istio's name where it has the mode") {
  Metrics metrics;
  metrics.repair("delete", "fail");
  metrics.repair("reconfigure", "success");
  metrics.repair("nonsense", "nonsense");
  CHECK(value_of(metrics, "istio_cni_repair_pods_repaired_total",
                 {R"(type="delete")", R"(result="fail")"}) == 1);
  CHECK(series_of(metrics, "istio_cni_repair_pods_repaired_total") == 1);
  CHECK(value_of(metrics, "sluice_agent_repairs_total",
                 {R"(mode="reconfigure")", R"(result="success")"}) == 1);
  CHECK(value_of(metrics, "sluice_agent_repairs_total", {R"(mode="other")", R"(result="other")"}) ==
        1);
}

TEST_CASE("pods are gauges of every condition, set whole") {
  Metrics metrics;
  CHECK(value_of(metrics, "sluice_agent_pods", {R"(condition="intact")"}) == 0);
  metrics.pods({{.condition = PodCondition::intact},
                {.condition = PodCondition::intact, .backend = "xtables"},
                {.condition = PodCondition::missing}});
  CHECK(value_of(metrics, "sluice_agent_pods", {R"(condition="intact")"}) == 2);
  CHECK(value_of(metrics, "sluice_agent_backend", {R"(backend="xtables")"}) == 1);
  metrics.pods({{.condition = PodCondition::passed}});
  CHECK(value_of(metrics, "sluice_agent_pods", {R"(condition="intact")"}) == 0);
  CHECK(value_of(metrics, "sluice_agent_pods", {R"(condition="missing")"}) == 0);
  CHECK(value_of(metrics, "sluice_agent_pods", {R"(condition="passed")"}) == 1);
  CHECK(series_of(metrics, "sluice_agent_pods") == 8);
}

TEST_CASE("look-ups, drift, restarts of the watch and readiness are counted") {
  Metrics metrics;
  metrics.lookup("cache", 0.0001);
  metrics.lookup("api", 0.2);
  metrics.lookup("elsewhere", 9);
  CHECK(value_of(metrics, "sluice_agent_lookups_total", {R"(source="cache")"}) == 1);
  CHECK(value_of(metrics, "sluice_agent_lookups_total", {R"(source="other")"}) == 1);
  CHECK(value_of(metrics, "sluice_agent_lookup_seconds_bucket", {R"(le="0.0005")"}) == 1);
  CHECK(value_of(metrics, "sluice_agent_lookup_seconds_bucket", {R"(le="+Inf")"}) == 3);
  metrics.drift({.condition = PodCondition::damaged});
  CHECK(value_of(metrics, "sluice_agent_drift_total", {R"(condition="damaged")"}) == 1);
  for (int i = 0; i < 100; ++i) metrics.watch_restart("reason-" + std::to_string(i));
  CHECK(series_of(metrics, "sluice_agent_watch_restarts_total") == 17);
  CHECK(value_of(metrics, "sluice_agent_ready") == 0);
  metrics.ready(true);
  CHECK(value_of(metrics, "sluice_agent_ready") == 1);
}

TEST_CASE("the process is told of") {
  const Metrics metrics;
  CHECK(value_of(metrics, "process_resident_memory_bytes") > 1024 * 1024);
  const double now = static_cast<double>(std::time(nullptr));
  CHECK(value_of(metrics, "process_start_time_seconds") > now - 24 * 3600);
  CHECK(value_of(metrics, "process_start_time_seconds") <= now + 2);
  const double before = value_of(metrics, "process_cpu_seconds_total");
  CHECK(before > 0);
  while (value_of(metrics, "process_cpu_seconds_total") <= before) {
  }
  CHECK(value_of(metrics, "sluice_build_info",
                 {std::string("version=\"") + cni::plugin_version() + "\""}) == 1);
}

TEST_CASE("counting and printing may happen at once") {
  Metrics metrics;
  constexpr int rounds = 200;
  std::atomic<bool> done{false};
  std::size_t printed = 0;
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < rounds; ++round) {
        metrics.plugin_report(report("r-" + std::to_string(round)));
        metrics.lookup("api", 0.01);
        metrics.pods({{.condition = PodCondition::intact, .backend = "xtables"}});
        metrics.watch_restart("gone");
      }
    });
  }
  threads.emplace_back([&] {
    do {
      printed += metrics.text().size();
    } while (!done);
  });
  threads[0].join();
  threads[1].join();
  done = true;
  threads[2].join();
  CHECK(printed > 0);
  CHECK(value_of(metrics, "sluice_agent_lookups_total", {R"(source="api")"}) == 2 * rounds);
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/report.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cni/version.h"
#include "tests/unit/plugin_run.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;

struct ReportRun : PluginRun {
  ReportRun() { network["agentSocket"] = "/run/sluice/agent.sock"; }

  // What the agent is told; no question is asked of it.
  ReportMessage told(const char* command, bool printed = true) {
    const std::string packet =
        report_packet((*this)(command), printed, std::chrono::microseconds(1234));
    return std::get<ReportMessage>(parse_agent_request(packet));
  }
};

TEST_CASE("report: a redirected pod", "[report]") {
  ReportRun plugin;
  plugin.environment["CNI_ARGS"] += ";K8S_POD_UID=11111111";
  const ReportMessage report = plugin.told("ADD");
  CHECK(report.command == "ADD");
  CHECK(report.sandbox == Sandbox{.name_space = "demo",
                                  .name = "web-0",
                                  .uid = "11111111",
                                  .container_id = "c0ffee",
                                  .netns = "/run/netns/pod"});
  CHECK(report.outcome == "redirected");
  CHECK(report.reason == "injected");
  CHECK(report.code == 0);
  CHECK(report.microseconds == 1234);
  CHECK(report.backend == "fake");
  CHECK(report.plugin_version == plugin_version());
  REQUIRE(report.log.size() == 1);
  CHECK(report.log[0].level == "info");
  CHECK(report.log[0].text ==
        "pod \"demo/web-0\" is redirected: it is injected; through fake: it is made up");
}

TEST_CASE("report: a passed pod", "[report]") {
  ReportRun plugin;
  plugin.annotations() = nullptr;
  const ReportMessage report = plugin.told("ADD");
  CHECK(report.outcome == "passed");
  CHECK(report.reason == "no-status");
  CHECK(report.backend.empty());
}

TEST_CASE("report: a failed pod", "[report]") {
  ReportRun plugin;
  SECTION("before it is decided") {
    plugin.annotate("traffic.sidecar.istio.io/excludeInboundPorts", "http");
    const ReportMessage report = plugin.told("ADD");
    CHECK(report.outcome == "failed");
    CHECK(report.code == 7);
    CHECK(report.reason.empty());
    CHECK(report.log.back().level == "error");
    CHECK_THAT(report.log.back().text, Contains("excludeInboundPorts"));
  }
  SECTION("in the kernel") {
    plugin.pod.calls.fail(4, Error(EPERM, "write"));
    const ReportMessage report = plugin.told("ADD");
    CHECK(report.outcome == "failed");
    CHECK(report.code == 103);
    CHECK(report.reason == "injected");
    CHECK(report.backend == "fake");
  }
}

TEST_CASE("report: a result that nobody gets is a failure", "[report]") {
  ReportRun plugin;
  SECTION("of a call that went well") {
    const ReportMessage report = plugin.told("ADD", false);
    CHECK(report.outcome == "failed");
    CHECK(report.code == 5);
    CHECK(report.reason == "injected");
  }
  SECTION("of one that did not") {
    plugin.not_netns = NotNetns{.absent = true, .reason = "does not exist"};
    CHECK(plugin.told("ADD", false).code == 4);
  }
}

TEST_CASE("report: the other verbs", "[report]") {
  ReportRun plugin;
  REQUIRE(plugin("ADD").exit_status == 0);
  for (const char* command : {"CHECK", "DEL", "GC", "STATUS"}) {
    const ReportMessage report = plugin.told(command);
    CAPTURE(command);
    CHECK(report.command == command);
    CHECK(report.outcome == "done");
    CHECK(report.code == 0);
  }
  plugin.network["proxyPort"] = 0;
  CHECK(plugin.told("STATUS").outcome == "failed");
}

TEST_CASE("report: log lines up to the log level", "[report]") {
  ReportRun plugin;
  plugin.network["misspelled"] = true;
  CHECK(plugin.told("ADD").log.size() == 2);
  plugin.network["logLevel"] = "warn";
  const ReportMessage report = plugin.told("ADD");
  REQUIRE(report.log.size() == 1);
  CHECK(report.log[0].level == "warn");
  plugin.network["logLevel"] = "none";
  CHECK(plugin.told("ADD").log.empty());
}

TEST_CASE("report: nobody is told where there is no agent", "[report]") {
  ReportRun plugin;
  const auto is_silent = [&](const char* command) {
    return report_packet(plugin(command), true, std::chrono::microseconds(1)).empty();
  };
  CHECK_FALSE(is_silent("ADD"));
  CHECK(is_silent("VERSION"));
  plugin.network["agentSocket"] = "not/absolute";
  CHECK(is_silent("ADD"));
  plugin.network.erase("agentSocket");
  CHECK(is_silent("ADD"));
  plugin.stdin_text = "{";
  CHECK(is_silent("ADD"));
}

TEST_CASE("reason: each has a word of its own", "[reason]") {
  std::set<std::string> words;
  const auto last = static_cast<int>(Reason::mode_none);
  for (int i = 0; i <= last; ++i) {
    const std::string word = to_string(static_cast<Reason>(i));
    CHECK_FALSE(word.empty());
    CHECK(word.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string::npos);
    words.insert(word);
  }
  CHECK(words.size() == static_cast<std::size_t>(last) + 1);
}

}  // namespace
}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
// What holds for every command; the commands have files of their own.
#include "cni/plugin.h"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "cni/version.h"
#include "tests/unit/plugin_run.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;
using Texts = std::vector<std::string>;

TEST_CASE("plugin: without a command it says what it is, on stderr", "[plugin]") {
  PluginRun plugin;
  const Outcome outcome = plugin("");
  CHECK(outcome.exit_status == 0);
  CHECK(outcome.out.empty());
  CHECK(outcome.about ==
        std::string("CNI sluice-cni plugin v") + plugin_version() +
            "\nCNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n");
  CHECK(plugin.stdin_reads == 0);
}

TEST_CASE("plugin: VERSION needs neither stdin nor anything else", "[plugin]") {
  PluginRun plugin;
  plugin.environment.clear();
  const Outcome outcome = plugin("VERSION");
  CHECK(outcome.exit_status == 0);
  CHECK(Json::parse(outcome.out) == Json::parse(R"({"cniVersion": "1.1.0", "supportedVersions":
                        ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]})"));
  CHECK(plugin.stdin_reads == 0);
  CHECK(plugin.opened.empty());
}

TEST_CASE("plugin: a wrong environment is told before stdin is read", "[plugin]") {
  PluginRun plugin;
  SECTION("an unknown command") {
    CHECK(message_in(plugin("UPDATE")) == "unknown CNI_COMMAND: \"UPDATE\"");
  }
  SECTION("missing variables") {
    plugin.environment = {{"CNI_CONTAINERID", "c0ffee"}};
    CHECK(message_in(plugin("ADD")) == "required env variables [CNI_NETNS,CNI_IFNAME] missing");
  }
  CHECK(plugin.stdin_reads == 0);
}

TEST_CASE("plugin: an error is one document in the version of the configuration", "[plugin]") {
  PluginRun plugin;
  plugin.network["cniVersion"] = "0.4.0";
  plugin.network.erase("prevResult");
  const Outcome outcome = plugin("ADD");
  CHECK(outcome.exit_status == 1);
  const Json document = Json::parse(outcome.out);
  CHECK(document.at("cniVersion") == "0.4.0");
  CHECK(document.at("code") == 7);
  CHECK(outcome.out.back() == '\n');
  CHECK(logged(outcome, LogLevel::error) == Texts{document.at("msg").get<std::string>()});
}

TEST_CASE("plugin: the configuration sets the deadline before anything is done", "[plugin]") {
  using Deadlines = std::vector<std::chrono::milliseconds>;
  PluginRun plugin;
  CHECK(plugin("ADD").exit_status == 0);
  CHECK(plugin.deadlines == Deadlines{default_deadline});
  plugin.network["deadlineMs"] = 5000;
  plugin.not_netns = NotNetns{.reason = "is not a network namespace"};
  CHECK(plugin("ADD").exit_status == 1);
  CHECK(plugin.deadlines.back() == std::chrono::milliseconds(5000));
  plugin.deadlines.clear();
  CHECK(plugin("VERSION").exit_status == 0);
  CHECK(plugin.deadlines.empty());
}

TEST_CASE("plugin: before the version is known an error is in the newest", "[plugin]") {
  PluginRun plugin;
  SECTION("no JSON") {
    plugin.stdin_text = "{";
  }
  SECTION("nothing") {
    plugin.stdin_text = "";
  }
  SECTION("an unknown version") {
    plugin.network["cniVersion"] = "1.2.0";
  }
  SECTION("no name") {
    plugin.network.erase("name");
  }
  CHECK(error_of(plugin("ADD")).at("cniVersion") == "1.1.0");
}

TEST_CASE("plugin: an unsupported version lists the supported ones in the details", "[plugin]") {
  PluginRun plugin;
  plugin.network["cniVersion"] = "1.2.0";
  const Json document = error_of(plugin("ADD"));
  CHECK(document.at("code") == 1);
  CHECK(document.at("msg") == "incompatible CNI versions");
  CHECK_THAT(document.at("details").get<std::string>(),
             Contains("\"1.2.0\"") && Contains("0.1.0") && Contains("1.1.0"));
}

TEST_CASE("plugin: an error without details has no such member", "[plugin]") {
  PluginRun plugin;
  plugin.network.erase("name");
  CHECK_FALSE(error_of(plugin("ADD")).contains("details"));
}

TEST_CASE("plugin: stdin that cannot be read", "[plugin]") {
  const std::string command = GENERATE("ADD", "DEL", "CHECK", "GC", "STATUS");
  PluginRun plugin;
  const Outcome outcome = run(
      {.get_env = [&](const char* name) -> const char* {
         if (std::string(name) == "CNI_COMMAND") return command.c_str();
         const auto found = plugin.environment.find(name);
         return found == plugin.environment.end() ? nullptr : found->second.c_str();
       },
       .read_stdin = []() -> std::string { throw Error(Code::io_failure, "cannot read stdin"); },
       .open_namespace = {}});
  CAPTURE(command);
  CHECK(code_in(outcome) == Code::io_failure);
  CHECK(message_in(outcome) == "cannot read stdin");
}

TEST_CASE("plugin: an exception that nobody thought of is an error too", "[plugin]") {
  const Outcome outcome = run(
      {.get_env = [](const char*) -> const char* { throw std::runtime_error("out of the blue"); },
       .read_stdin = {},
       .open_namespace = {}});
  CHECK(code_in(outcome) == Code::internal);
  CHECK(message_in(outcome) == "internal error: out of the blue");
}

TEST_CASE("plugin: what is wrong with the configuration is fatal to our pods only", "[plugin]") {
  PluginRun plugin;
  plugin.network["proxyPort"] = 70000;
  const std::string problem =
      "network configuration: key \"proxyPort\": port \"70000\" is above 65535";
  SECTION("ours") {
    const Outcome outcome = plugin("ADD");
    CHECK(code_in(outcome) == Code::invalid_config);
    CHECK(message_in(outcome) == problem);
    CHECK(plugin.opened.empty());
  }
  SECTION("another") {
    plugin.annotations() = nullptr;
    const Outcome outcome = plugin("ADD");
    CHECK(outcome.exit_status == 0);
    CHECK(logged(outcome, LogLevel::warn) == Texts{problem});
  }
}

TEST_CASE("plugin: keys that are not known are warned of, once each", "[plugin]") {
  PluginRun plugin;
  plugin.network["excludeInboundPort"] = "80";
  plugin.network["odd\nkey"] = 1;
  const Outcome outcome = plugin("ADD");
  CHECK(outcome.exit_status == 0);
  CHECK(logged(outcome, LogLevel::warn) ==
        Texts{R"(network configuration: key "excludeInboundPort" is unknown)",
              R"(network configuration: key "odd\x0akey" is unknown)"});
}

TEST_CASE("plugin: of a great many unknown keys the first are named, the others counted",
          "[plugin]") {
  PluginRun plugin;
  for (int i = 0; i < 8; ++i) plugin.network["key" + std::to_string(i)] = i;
  CHECK(logged(plugin("ADD"), LogLevel::warn).size() == 8);
  for (int i = 8; i < 1000; ++i) plugin.network["key" + std::to_string(i)] = i;
  const Texts told = logged(plugin("ADD"), LogLevel::warn);
  REQUIRE(told.size() == 9);
  CHECK(told.front() == R"(network configuration: key "key0" is unknown)");
  CHECK(told.back() == "network configuration: 992 more keys are unknown");
}

TEST_CASE("plugin: the log level is handed on", "[plugin]") {
  PluginRun plugin;
  CHECK(plugin("ADD").log_level == LogLevel::info);
  plugin.network["logLevel"] = "error";
  CHECK(plugin("ADD").log_level == LogLevel::error);
}

TEST_CASE("plugin: a message is one short line of valid UTF-8, whatever a tenant wrote",
          "[plugin]") {
  PluginRun plugin;
  std::string odd = "\n\x1b[31m\"\\\t";
  odd += std::string(1U << 18U, 'x');
  plugin.annotate("traffic.sidecar.istio.io/excludeInboundPorts", odd.c_str());
  const Outcome outcome = plugin("ADD");
  CHECK(code_in(outcome) == Code::invalid_config);
  const std::string message = message_in(outcome);
  CHECK_THAT(message, Contains("traffic.sidecar.istio.io/excludeInboundPorts"));
  CHECK(message.size() < 1024);
  CHECK(message.find('\n') == std::string::npos);
  CHECK(outcome.out.find('\n') == outcome.out.size() - 1);
}

}  // namespace
}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
// What real runtimes were seen to send (tests/captures) is decoded in full.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "rules/text.h"
#include "tests/unit/plugin_run.h"

namespace sluice::cni {
namespace {

using std::filesystem::path;

std::string content_of(const path& file) {
  std::ifstream stream(file, std::ios::binary);
  REQUIRE(stream);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<path> captures_of(const std::string& command) {
  std::vector<path> found;
  for (const auto& entry : std::filesystem::directory_iterator(SLUICE_CAPTURES_DIR)) {
    const std::string name = entry.path().stem().string();
    const bool matches = name.find("-" + command) != std::string::npos;
    if (matches && entry.path().extension() == ".json") found.push_back(entry.path());
  }
  REQUIRE_FALSE(found.empty());
  return found;
}

// The plugin with the captured configuration and, where it was kept, environment.
struct Replay : PluginRun {
  explicit Replay(const path& file) {
    network = Json::parse(content_of(file));
    std::ifstream lines(path(file).replace_extension(".env"));
    for (std::string line; std::getline(lines, line);) {
      const std::size_t equals = line.find('=');
      if (equals == std::string::npos) continue;
      environment[line.substr(0, equals)] = line.substr(equals + 1);
    }
  }
};

TEST_CASE("captures: the pod's resolvers are containerd's, the others send none", "[captures]") {
  int with_dns = 0;
  for (const path& file : captures_of("ADD")) {
    CAPTURE(file);
    Replay plugin(file);
    // Also podman's, which is not of Kubernetes.
    plugin.environment["CNI_ARGS"] = "K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web-0";
    plugin.annotations() = {{"sidecar.istio.io/status", "{}"},
                            {"sluice.dev/dns-capture", "resolvers"}};
    const Outcome outcome = plugin("ADD");
    if (!plugin.network["runtimeConfig"].contains("dns")) {
      CHECK(code_in(outcome) == Code::invalid_config);
      CHECK_THAT(message_in(outcome), Catch::Matchers::StartsWith("dnsCapture \"resolvers\": "));
      CHECK_FALSE(plugin.is_redirected());
    } else {
      ++with_dns;
      REQUIRE(outcome.exit_status == 0);
      const std::string rules = to_save(plugin.owned_rulesets().front());
      CHECK_THAT(rules, Catch::Matchers::Contains("-d 10.96.0.10/32 -p udp"));
    }
  }
  CHECK(with_dns == 4);
}

TEST_CASE("captures: ADD passes a pod that is not injected, its result as it came", "[captures]") {
  for (const path& file : captures_of("ADD")) {
    CAPTURE(file);
    Replay plugin(file);
    if (file.stem() == "podman-4.3-ADD") plugin.environment["CNI_ARGS"] = "K8S_POD_NAME=c96fa7";
    if (plugin.annotations().is_object()) plugin.annotations().erase("sidecar.istio.io/status");
    const Outcome outcome = plugin("ADD");
    CHECK(outcome.exit_status == 0);
    CHECK(Json::parse(outcome.out) == plugin.network["prevResult"]);
    CHECK(plugin.opened.empty());
    CHECK(logged(outcome, LogLevel::warn).empty());
  }
}

TEST_CASE("captures: with a sidecar ADD redirects, CHECK agrees and DEL cleans up", "[captures]") {
  for (const path& file : captures_of("ADD")) {
    CAPTURE(file);
    Replay plugin(file);
    plugin.annotate("sidecar.istio.io/status", "{}");
    if (file.stem() == "podman-4.3-ADD") plugin.network["redirect"] = "all";
    CHECK(plugin("ADD").exit_status == 0);
    CHECK(plugin.is_redirected());
    CHECK(plugin("CHECK").exit_status == 0);
    CHECK(plugin("DEL").exit_status == 0);
    CHECK_FALSE(plugin.is_redirected());
  }
}

TEST_CASE("captures: commands that print nothing", "[captures]") {
  for (const char* command : {"DEL", "CHECK", "GC", "STATUS"}) {
    for (const path& file : captures_of(command)) {
      CAPTURE(file);
      Replay plugin(file);
      const Outcome outcome = plugin(command);
      CHECK(outcome.exit_status == 0);
      CHECK(outcome.out.empty());
    }
  }
}

TEST_CASE("captures: VERSION", "[captures]") {
  for (const path& file : captures_of("VERSION")) {
    Replay plugin(file);
    CHECK(Json::parse(plugin("VERSION").out).at("cniVersion") == "1.1.0");
    CHECK(plugin.stdin_reads == 0);
  }
}

}  // namespace
}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/plugin_run.h"

namespace sluice::cni {
namespace {

// What a runtime sends for STATUS: no container, no namespace, no previous result.
Outcome status_of(const Json& keys) {
  PluginRun plugin;
  for (const char* name : {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"}) {
    plugin.environment[name] = "";
  }
  plugin.network = {{"cniVersion", "1.1.0"}, {"name", "podnet"}};
  plugin.network.update(keys);
  Outcome outcome = plugin("STATUS");
  CHECK(plugin.opened.empty());
  return outcome;
}

TEST_CASE("status: a configuration that can be followed is ready, in silence", "[status]") {
  const Outcome outcome = status_of({{"proxyUid", 1337}, {"layout", "istio"}});
  CHECK(outcome.exit_status == 0);
  CHECK(outcome.out.empty());
  CHECK(outcome.log.empty());
}

TEST_CASE("status: a configuration that would fail each pod is not ready", "[status]") {
  const Outcome outcome = status_of({{"layout", "istio-2"}});
  CHECK(code_in(outcome) == Code::invalid_config);
  CHECK(message_in(outcome) ==
        "network configuration: key \"layout\": \"istio-2\" is not istio, istio-1.6 or sluice");
}

TEST_CASE("status: a key that is not known is no reason to stop a node", "[status]") {
  const Outcome outcome = status_of({{"proxyUID2", 1}});
  CHECK(outcome.exit_status == 0);
  CHECK(logged(outcome, LogLevel::warn).size() == 1);
}

TEST_CASE("status: a node on which no ADD can work is not available", "[status]") {
  PluginRun plugin;
  plugin.environment = {{"CNI_PATH", "/opt/cni/bin"}};
  plugin.network = {{"cniVersion", "1.1.0"}, {"name", "podnet"}, {"backend", "nftables"}};
  plugin.obstacle = "capability CAP_NET_ADMIN is missing";
  const Outcome outcome = plugin("STATUS");
  CHECK(code_in(outcome) == Code::not_available);
  CHECK(message_in(outcome) == "no pod can be redirected: capability CAP_NET_ADMIN is missing");
  CHECK(plugin.obstacle_questions ==
        std::vector{BackendSettings{.choice = BackendChoice::nftables}});
  CHECK(plugin.opened.empty());
}

TEST_CASE("status: a bad configuration is said before the node is asked", "[status]") {
  PluginRun plugin;
  plugin.network["layout"] = "istio-2";
  plugin.obstacle = "no";
  CHECK(code_in(plugin("STATUS")) == Code::invalid_config);
  CHECK(plugin.obstacle_questions.empty());
}

TEST_CASE("status: needs version 1.1.0", "[status]") {
  CHECK(code_in(status_of({{"cniVersion", "1.0.0"}})) == Code::incompatible_version);
}

}  // namespace
}  // namespace sluice::cni

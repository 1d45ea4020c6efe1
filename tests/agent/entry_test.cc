// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/entry.h"

#include <catch2/catch.hpp>

#include "cni/config.h"
#include "cni/pod.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

using cni::Json;

constexpr const char* socket_path = "/run/sluice/agent.sock";

}  // namespace

TEST_CASE("the entry has what was configured and what the agent knows") {
  const Json entry =
      plugin_entry({{"ipv6", "block"}, {"agentAbsent", "annotations"}}, socket_path, "mesh/sluice");
  CHECK(entry["type"] == "sluice-cni");
  CHECK(entry["ipv6"] == "block");
  CHECK(entry["agentAbsent"] == "annotations");
  CHECK(entry["agentSocket"] == socket_path);
  CHECK(entry["agentDaemonSet"] == "mesh/sluice");
  CHECK(entry["capabilities"][cni::annotations_capability] == true);
  CHECK(cni::read_plugin_config(entry).problems.empty());
}

TEST_CASE("without a DaemonSet no pod is named as ours") {
  CHECK_FALSE(plugin_entry(Json::object(), socket_path, "").contains("agentDaemonSet"));
}

TEST_CASE("an entry that would fail pods is refused, by key and value") {
  CHECK_THROWS_WITH(plugin_entry({{"proxyPort", 0}}, socket_path, ""),
                    Catch::Contains("the plugin's entry: ") && Catch::Contains("proxyPort"));
  CHECK_THROWS_WITH(plugin_entry({{"excludeNamespace", "x"}}, socket_path, ""),
                    Catch::Contains("\"excludeNamespace\" is unknown"));
  CHECK_THROWS_WITH(plugin_entry({{"type", "x"}}, socket_path, ""), Catch::Contains("type"));
  CHECK_THROWS_AS(plugin_entry(Json::array(), socket_path, ""), Error);
}

TEST_CASE("an entry of a person's gets capabilities, and may name an agent") {
  const Json bare = entry_by_hand(Json());
  CHECK(bare["type"] == "sluice-cni");
  CHECK(bare["capabilities"][cni::annotations_capability] == true);
  CHECK_FALSE(bare.contains("agentSocket"));
  const Json told = entry_by_hand({{"agentSocket", socket_path}, {"capabilities", Json::object()}});
  CHECK(told["agentSocket"] == socket_path);
  CHECK(told["capabilities"] == Json::object());
  CHECK_THROWS_WITH(entry_by_hand({{"agent", 1}}), Catch::Contains("\"agent\" is unknown"));
  CHECK_THROWS_AS(entry_by_hand(Json::array()), Error);
}

}  // namespace sluice::agent

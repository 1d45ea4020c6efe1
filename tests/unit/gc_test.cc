// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/plugin_run.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;

// What a runtime sends for GC: no container, no namespace, no previous result.
Outcome collect(PluginRun& plugin, const Json& keys) {
  for (const char* name : {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"}) {
    plugin.environment[name] = "";
  }
  plugin.network = {{"cniVersion", "1.1.0"}, {"name", "podnet"}};
  plugin.network.update(keys);
  return plugin("GC");
}

TEST_CASE("gc: lists of attachments are accepted, and nothing is touched", "[gc]") {
  for (const char* keys : {
           R"({})",
           R"({"cni.dev/valid-attachments": null})",
           R"({"cni.dev/valid-attachments": []})",
           R"({"cni.dev/valid-attachments": [null, {}]})",
           R"({"cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0"}]})",
           R"({"cni.dev/attachments": [{"containerID": "a", "ifname": "eth0", "x": 1}]})",
           R"({"cni.dev/valid-attachments": [{"containerId": "a", "IfName": "eth0"}]})",
           R"({"cni.dev/valid-attachments": [{"containerID": null}]})",
       }) {
    CAPTURE(keys);
    PluginRun plugin;
    const Outcome outcome = collect(plugin, Json::parse(keys));
    CHECK(outcome.exit_status == 0);
    CHECK(outcome.out.empty());
    CHECK(plugin.opened.empty());
    CHECK(outcome.log.empty());
  }
}

TEST_CASE("gc: what is no list of attachments is refused by its key", "[gc]") {
  for (const char* key : {"cni.dev/valid-attachments", "cni.dev/attachments"}) {
    for (const char* value : {R"({})", R"("x")", "5", "true", R"([5])", R"(["x"])", R"([[]])",
                              R"([{"containerID": 5}])", R"([{"ifname": {}}])",
                              R"([{"containerID": "a", "ifname": "eth0"}, {"IfName": 1}])"}) {
      CAPTURE(key, value);
      PluginRun plugin;
      const Outcome outcome = collect(plugin, {{key, Json::parse(value)}});
      CHECK(code_in(outcome) == Code::decoding_failure);
      CHECK_THAT(message_in(outcome), Contains(std::string("\"") + key + "\""));
    }
  }
}

TEST_CASE("gc: needs version 1.1.0", "[gc]") {
  PluginRun plugin;
  CHECK(code_in(collect(plugin, {{"cniVersion", "1.0.0"}})) == Code::incompatible_version);
}

TEST_CASE("gc: a configuration that is wrong does not keep others' garbage", "[gc]") {
  PluginRun plugin;
  CHECK(collect(plugin, {{"proxyPort", 0}}).exit_status == 0);
}

}  // namespace
}  // namespace sluice::cni

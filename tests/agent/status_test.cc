// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tell/status.h"

#include <catch2/catch.hpp>

#include "cni/json.h"

namespace sluice::agent {

TEST_CASE("a status is one line of JSON with the keys that are promised") {
  const NodeStatus status{.node = "n1",
                          .version = "0.1.0",
                          .ready = false,
                          .parts = {{"watch", {.ready = false, .why = "not yet connected"}}},
                          .conf_file = "/host/etc/cni/net.d/10-podnet.conflist",
                          .backend = "xtables",
                          .repair_mode = "report",
                          .pods = {{.name_space = "demo",
                                    .name = "web-0",
                                    .uid = "u1",
                                    .condition = PodCondition::missing,
                                    .why = "nothing of ours",
                                    .backend = "xtables",
                                    .repaired = true}}};
  const std::string text = print_status(status);
  CHECK(text.find('\n') == std::string::npos);
  CHECK(cni::parse_json(text, "it") == cni::parse_json(R"({
    "version": 1, "node": "n1", "agentVersion": "0.1.0", "ready": false,
    "parts": {"watch": {"ready": false, "why": "not yet connected"}},
    "confFile": "/host/etc/cni/net.d/10-podnet.conflist", "backend": "xtables",
    "repairMode": "report",
    "pods": [{"namespace": "demo", "name": "web-0", "uid": "u1", "condition": "missing",
              "why": "nothing of ours", "backend": "xtables", "repaired": true}]})",
                                                       "it"));
}

TEST_CASE("a status of nothing has empty objects, and what is no UTF-8 is mended") {
  NodeStatus status;
  const cni::Json empty = cni::parse_json(print_status(status), "it");
  CHECK(empty["parts"] == cni::Json::object());
  CHECK(empty["pods"] == cni::Json::array());
  status.pods.push_back({.name = "\xff", .why = "a\nb"});
  const std::string text = print_status(status);
  CHECK(text.find('\n') == std::string::npos);
  CHECK(cni::parse_json(text, "it")["pods"][0]["why"] == "a\nb");
}

}  // namespace sluice::agent

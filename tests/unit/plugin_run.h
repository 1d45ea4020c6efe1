// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the plugin on a fake host, as a runtime runs it on a real one.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cni/agent_message.h"
#include "cni/code.h"
#include "cni/json.h"
#include "cni/plugin.h"
#include "cni/pod.h"
#include "tests/fake_backend.h"
#include "tests/unit/thrown.h"

namespace sluice::cni {

// To begin with: what a runtime sends for an injected pod demo/web-0 with one IPv4 address.
struct PluginRun {
  std::map<std::string, std::string> environment{
      {"CNI_CONTAINERID", "c0ffee"},
      {"CNI_NETNS", "/run/netns/pod"},
      {"CNI_IFNAME", "eth0"},
      {"CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web-0"},
      {"CNI_PATH", "/opt/cni/bin"}};
  Json network = Json::parse(R"({
      "cniVersion": "1.1.0",
      "name": "podnet",
      "type": "sluice-cni",
      "prevResult": {
        "cniVersion": "1.1.0",
        "interfaces": [{"name": "veth1"}, {"name": "eth0", "sandbox": "/run/netns/pod"}],
        "ips": [{"address": "10.244.0.5/24", "interface": 1}]
      },
      "runtimeConfig": {"io.kubernetes.cri.pod-annotations": {"sidecar.istio.io/status": "{}"}}
    })");
  std::optional<std::string> stdin_text;  // instead of `network`
  FakePod pod;
  std::optional<NotNetns> not_netns;   // CNI_NETNS is none
  std::exception_ptr opening_failure;  // opening it fails
  std::vector<std::string> opened;     // paths
  int stdin_reads = 0;
  // The agent's answer; it throws what an absent one throws. Not set: the program knows no agent.
  std::function<std::string()> agent;
  std::vector<LookupMessage> questions;
  std::string asked_socket;
  std::chrono::milliseconds asked_timeout{0};
  std::vector<std::chrono::milliseconds> deadlines;
  std::string obstacle;  // why no pod can be redirected
  std::vector<BackendSettings> obstacle_questions;

  Json& annotations() { return network["runtimeConfig"][annotations_capability]; }
  void annotate(const char* key, const char* value) { annotations()[key] = value; }
  void add_address(const char* address) {
    network["prevResult"]["ips"].push_back({{"address", address}, {"interface", 1}});
  }

  Outcome operator()(const char* command) {
    environment["CNI_COMMAND"] = command;
    return run({.get_env =
                    [this](const char* name) {
                      const auto found = environment.find(name);
                      return found == environment.end() ? nullptr : found->second.c_str();
                    },
                .read_stdin =
                    [this] {
                      ++stdin_reads;
                      return stdin_text.value_or(network.dump());
                    },
                .open_namespace = [this](const std::string& path) { return open(path); },
                .ask_agent = asker(),
                .obstacle =
                    [this](const BackendSettings& settings) {
                      obstacle_questions.push_back(settings);
                      return obstacle;
                    },
                .set_deadline =
                    [this](std::chrono::milliseconds deadline) { deadlines.push_back(deadline); }});
  }

  // The rules of ours in the pod, of both families.
  std::vector<Ruleset> owned_rulesets() const {
    std::vector<Ruleset> ours;
    for (const Ruleset& ruleset : pod.backend.live.rulesets) {
      Ruleset part = owned(ruleset);
      if (!part.tables.empty()) ours.push_back(std::move(part));
    }
    return ours;
  }
  bool is_redirected() const { return !owned_rulesets().empty(); }

 private:
  std::function<std::string(const std::string&, const std::string&, std::chrono::milliseconds)>
  asker() {
    if (!agent) return {};
    return [this](const std::string& socket, const std::string& packet,
                  std::chrono::milliseconds timeout) {
      asked_socket = socket;
      asked_timeout = timeout;
      questions.push_back(std::get<LookupMessage>(parse_agent_request(packet)));
      return agent();
    };
  }

  OpenedNamespace open(const std::string& path) {
    opened.push_back(path);
    if (opening_failure) std::rethrow_exception(opening_failure);
    if (not_netns) return *not_netns;
    return std::make_unique<FakeNamespace>(pod);
  }
};

// The document of a failed command; fails the test case if there is none.
inline Json error_of(const Outcome& outcome) {
  REQUIRE(outcome.exit_status == 1);
  Json document = Json::parse(outcome.out);
  REQUIRE(document.contains("msg"));
  return document;
}

inline Code code_in(const Outcome& outcome) {
  return static_cast<Code>(error_of(outcome).at("code").get<int>());
}

inline std::string message_in(const Outcome& outcome) {
  return error_of(outcome).at("msg").get<std::string>();
}

// The log's lines of one level.
inline std::vector<std::string> logged(const Outcome& outcome, LogLevel level) {
  std::vector<std::string> lines;
  for (const LogLine& line : outcome.log) {
    if (line.level == level) lines.push_back(line.text);
  }
  return lines;
}

}  // namespace sluice::cni

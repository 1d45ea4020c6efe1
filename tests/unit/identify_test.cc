// SPDX-License-Identifier: GPL-2.0-or-later
// Which source says what a pod is, in ADD and CHECK.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "rules/error.h"
#include "tests/random_config.h"
#include "tests/unit/plugin_run.h"
#include "tests/unit/tables.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using Texts = std::vector<std::string>;

constexpr const char* socket_path = "/run/sluice/agent.sock";

// An injected pod demo/web-0 whose sidecar runs as another user than the default, on a node with an
// agent that knows it.
struct AgentRun : PluginRun {
  Json known = Json::parse(R"({
      "kind": "Pod",
      "metadata": {"name": "web-0", "namespace": "demo",
                   "annotations": {"sidecar.istio.io/status": "{}"}},
      "spec": {"containers": [
        {"name": "app"},
        {"name": "istio-proxy", "args": ["proxy", "sidecar"],
         "securityContext": {"runAsUser": 1000650000, "runAsGroup": 1000650000}}]}})");

  AgentRun() {
    environment["CNI_ARGS"] += ";K8S_POD_UID=11111111";
    network["agentSocket"] = socket_path;
    agent = [this] { return print_answer({.pod = known}); };
  }

  Json& sidecar() { return known["spec"]["containers"][1]; }
  void forget_annotations() { network["runtimeConfig"] = Json::object(); }
  void lose_agent() {
    agent = []() -> std::string { throw Error(ECONNREFUSED, "connect"); };
  }
  void let_annotations_decide() { network["agentAbsent"] = "annotations"; }

  std::string rules() const {
    std::string text;
    for (const Ruleset& ruleset : owned_rulesets()) text += to_save(ruleset);
    return text;
  }
};

constexpr const char* away =
    "the agent at \"/run/sluice/agent.sock\" does not say what it is: connect: Connection refused";

TEST_CASE("identify: the agent's Pod counts for the rules", "[identify]") {
  AgentRun plugin;
  plugin.network["agentTimeoutMs"] = 700;
  const Outcome outcome = plugin("ADD");
  CHECK(outcome.exit_status == 0);
  CHECK_THAT(plugin.rules(), Contains("--uid-owner 1000650000") && !Contains("1337"));
  REQUIRE(plugin.questions.size() == 1);
  CHECK(plugin.asked_socket == socket_path);
  CHECK(plugin.asked_timeout == std::chrono::milliseconds(700));
  const LookupMessage& question = plugin.questions[0];
  CHECK(question.sandbox == Sandbox{.name_space = "demo",
                                    .name = "web-0",
                                    .uid = "11111111",
                                    .container_id = "c0ffee",
                                    .netns = "/run/netns/pod"});
  CHECK(question.deadline_ms == 700);
  CHECK(question.annotations_known);
  CHECK(logged(outcome, LogLevel::warn).empty());
  CHECK(plugin("CHECK").exit_status == 0);
  CHECK(plugin.questions.size() == 2);
}

TEST_CASE("identify: the agent's Pod lets a pod pass", "[identify]") {
  AgentRun plugin;
  std::string reason;
  SECTION("another proxy") {
    plugin.sidecar()["args"] = {"proxy", "router"};
    reason = "other-proxy";
  }
  SECTION("no envoy") {
    plugin.sidecar()["env"] = {{{"name", "DISABLE_ENVOY"}, {"value", "true"}}};
    reason = "proxyless";
  }
  SECTION("no sidecar") {
    plugin.sidecar()["name"] = "other";
    reason = "no-sidecar";
  }
  SECTION("though its annotations cannot be followed") {
    plugin.annotate("traffic.sidecar.istio.io/excludeInboundPorts", "http");
    plugin.sidecar()["args"] = {"proxy", "router"};
    reason = "other-proxy";
  }
  SECTION("though the network configuration has a mistake") {
    plugin.network["proxyPort"] = 0;
    plugin.sidecar()["args"] = {"proxy", "router"};
    reason = "other-proxy";
  }
  const Outcome outcome = plugin("ADD");
  CHECK(outcome.exit_status == 0);
  CHECK(outcome.report.reason == reason);
  CHECK(outcome.report.outcome == "passed");
  CHECK(plugin.opened.empty());
  CHECK(plugin("CHECK").exit_status == 0);
  CHECK(plugin.opened.empty());
}

TEST_CASE("identify: nobody is asked about a pod that is not redirected", "[identify]") {
  AgentRun plugin;
  SECTION("no annotations") {
    plugin.annotations() = nullptr;
  }
  SECTION("inject is false") {
    plugin.annotate("sidecar.istio.io/inject", "false");
  }
  SECTION("an excluded namespace, also without annotations") {
    plugin.network["excludeNamespaces"] = {"demo"};
    plugin.forget_annotations();
  }
  SECTION("outside of Kubernetes") {
    plugin.environment["CNI_ARGS"] = "";
    plugin.forget_annotations();
  }
  SECTION("mode NONE") {
    plugin.annotate("sidecar.istio.io/interceptionMode", "NONE");
  }
  SECTION("the agent's own pod, also without annotations") {
    plugin.network["agentDaemonSet"] = "demo/sluice-agent";
    plugin.environment["CNI_ARGS"] = "K8S_POD_NAMESPACE=demo;K8S_POD_NAME=sluice-agent-x7k2z";
    plugin.forget_annotations();
  }
  for (const char* command : {"ADD", "CHECK"}) CHECK(plugin(command).exit_status == 0);
  CHECK(plugin.questions.empty());
  CHECK(plugin.opened.empty());
}

TEST_CASE("identify: nobody is asked where it makes no difference", "[identify]") {
  AgentRun plugin;
  SECTION("no socket is configured") {
    plugin.network.erase("agentSocket");
    CHECK(plugin("ADD").exit_status == 0);
    CHECK(plugin.is_redirected());
  }
  SECTION("the program knows no agent") {
    plugin.agent = {};
    CHECK(plugin("ADD").exit_status == 0);
    CHECK(plugin.is_redirected());
  }
  SECTION("a container outside of Kubernetes, where all are redirected") {
    plugin.network["redirect"] = "all";
    plugin.environment["CNI_ARGS"] = "";
    CHECK(plugin("ADD").exit_status == 0);
    CHECK(plugin.is_redirected());
  }
  SECTION("DEL") {
    CHECK(plugin("ADD").exit_status == 0);
    plugin.questions.clear();
    CHECK(plugin("DEL").exit_status == 0);
    CHECK_FALSE(plugin.is_redirected());
  }
  CHECK(plugin.questions.empty());
}

TEST_CASE("identify: annotations that were not forwarded come from the agent", "[identify]") {
  AgentRun plugin;
  plugin.forget_annotations();
  Json& annotations = plugin.known["metadata"]["annotations"];
  SECTION("those of an injected pod") {
    annotations["traffic.sidecar.istio.io/excludeInboundPorts"] = "8080";
    CHECK(plugin("ADD").exit_status == 0);
    CHECK_THAT(plugin.rules(), Contains("--dport 8080"));
    CHECK_FALSE(plugin.questions.at(0).annotations_known);
  }
  SECTION("those of another one") {
    annotations = nullptr;
    const Outcome outcome = plugin("ADD");
    CHECK(outcome.exit_status == 0);
    CHECK(outcome.report.reason == "no-status");
    CHECK_FALSE(plugin.is_redirected());
  }
  SECTION("before onMissingAnnotations") {
    plugin.network["onMissingAnnotations"] = "pass";
    CHECK(plugin("ADD").exit_status == 0);
    CHECK(plugin.is_redirected());
  }
}

TEST_CASE("identify: the runtime's annotations win", "[identify]") {
  AgentRun plugin;
  plugin.annotate("traffic.sidecar.istio.io/excludeInboundPorts", "8080");
  plugin.known["metadata"]["annotations"]["traffic.sidecar.istio.io/excludeInboundPorts"] = "9090";
  CHECK(plugin("ADD").exit_status == 0);
  CHECK_THAT(plugin.rules(), Contains("--dport 8080") && !Contains("9090"));
}

TEST_CASE("identify: an interruption is not an agent that is away", "[identify]") {
  AgentRun plugin;
  plugin.let_annotations_decide();
  plugin.agent = []() -> std::string {
    throw Error(Code::try_again_later, "terminated by signal 15");
  };
  for (const char* command : {"ADD", "CHECK"}) {
    const Outcome outcome = plugin(command);
    CHECK(code_in(outcome) == Code::try_again_later);
    CHECK(message_in(outcome) == "terminated by signal 15");
    CHECK(plugin.opened.empty());
  }
}

TEST_CASE("identify: without the agent an injected pod waits", "[identify]") {
  AgentRun plugin;
  std::string why = away;
  SECTION("nobody listens") {
    plugin.lose_agent();
  }
  SECTION("the agent does not know the pod") {
    plugin.agent = [] { return print_answer({.unknown = "no such pod\n"}); };
    why = R"(does not say what it is: "no such pod\x0a")";
  }
  SECTION("the agent talks nonsense") {
    plugin.agent = [] { return std::string("\x01{"); };
    why = "does not say what it is: the agent message is not valid JSON";
  }
  SECTION("the agent says nothing") {
    plugin.agent = [] { return std::string("{}"); };
    why = "the agent's answer says nothing";
  }
  SECTION("though the annotations cannot be followed") {
    plugin.annotate("traffic.sidecar.istio.io/excludeInboundPorts", "http");
    plugin.lose_agent();
  }
  const Outcome outcome = plugin("ADD");
  CHECK(code_in(outcome) == Code::try_again_later);
  CHECK_THAT(message_in(outcome),
             StartsWith("pod \"demo/web-0\" looks injected, and the agent at ") && Contains(why) &&
                 !Contains("\n"));
  CHECK(message_in(outcome).size() < 1024);
  CHECK(plugin.opened.empty());
  CHECK(outcome.report.outcome == "failed");
  CHECK(outcome.report.code == 11);
}

TEST_CASE("identify: without agent and annotations", "[identify]") {
  AgentRun plugin;
  plugin.forget_annotations();
  plugin.lose_agent();
  SECTION("the pod waits") {
    const Outcome outcome = plugin("ADD");
    CHECK(code_in(outcome) == Code::try_again_later);
    CHECK(message_in(outcome) ==
          std::string("the runtime did not forward the annotations of pod \"demo/web-0\", and ") +
              away);
  }
  SECTION("the pod passes where it is to") {
    plugin.network["onMissingAnnotations"] = "pass";
    const Outcome outcome = plugin("ADD");
    CHECK(outcome.exit_status == 0);
    CHECK(outcome.report.reason == "annotations-missing");
    CHECK_THAT(logged(outcome, LogLevel::warn).at(0), Contains(away));
    CHECK_FALSE(plugin.is_redirected());
    plugin.let_annotations_decide();
    CHECK(plugin("ADD").report.reason == "annotations-missing");
  }
  SECTION("the pod is refused where annotations are to decide") {
    plugin.let_annotations_decide();
    CHECK(code_in(plugin("ADD")) == Code::invalid_config);
  }
  SECTION("a pod of a node that redirects all does not pass") {
    plugin.network["redirect"] = "all";
    plugin.network["onMissingAnnotations"] = "pass";
    const Outcome outcome = plugin("ADD");
    CHECK(code_in(outcome) == Code::try_again_later);
    CHECK_THAT(message_in(outcome), StartsWith("pod \"demo/web-0\" is to be redirected, and "));
  }
}

TEST_CASE("identify: without the agent annotations decide where they are to", "[identify]") {
  AgentRun plugin;
  plugin.let_annotations_decide();
  plugin.lose_agent();
  const Outcome outcome = plugin("ADD");
  CHECK(outcome.exit_status == 0);
  CHECK_THAT(plugin.rules(), Contains("--uid-owner 1337"));
  CHECK(logged(outcome, LogLevel::warn) ==
        Texts{std::string("pod \"demo/web-0\" looks injected, and ") + away});
  CHECK(plugin("CHECK").exit_status == 0);
  plugin.annotate("traffic.sidecar.istio.io/excludeInboundPorts", "http");
  CHECK(code_in(plugin("ADD")) == Code::invalid_config);
}

TEST_CASE("identify: a Pod that cannot be read", "[identify]") {
  const bool by_annotations = GENERATE(true, false);
  AgentRun plugin;
  if (by_annotations) plugin.let_annotations_decide();
  SECTION("its containers") {
    plugin.sidecar()["args"] = "proxy";
  }
  SECTION("no containers") {
    plugin.known["spec"] = nullptr;
  }
  SECTION("its kind") {
    plugin.known["kind"] = "Node";
  }
  SECTION("its annotations") {
    plugin.known["metadata"]["annotations"] = 5;
  }
  SECTION("its annotations, which nobody else knows") {
    plugin.known["metadata"]["annotations"] = 5;
    plugin.forget_annotations();
  }
  const Outcome outcome = plugin("ADD");
  CHECK(code_in(outcome) == Code::invalid_config);
  CHECK_THAT(message_in(outcome), StartsWith("pod \"demo/web-0\" as the agent knows it: "));
  CHECK(plugin.opened.empty());
}

TEST_CASE("identify: a Pod that cannot be read holds up nobody who is not ours", "[identify]") {
  AgentRun plugin;
  plugin.forget_annotations();
  plugin.known["metadata"]["annotations"] = Json::object();
  plugin.sidecar()["args"] = "proxy";
  const Outcome outcome = plugin("ADD");
  CHECK(outcome.exit_status == 0);
  CHECK(outcome.report.reason == "no-status");
}

const std::string not_whole =
    "the rules in the pod are not whole: no configuration writes what is there";

// CHECK while the agent is away, of a pod that it knew at ADD.
TEST_CASE("identify: CHECK does not fail because the agent is away", "[identify]") {
  const bool by_annotations = GENERATE(true, false);
  AgentRun plugin;
  if (by_annotations) plugin.let_annotations_decide();
  std::string expected;
  SECTION("rules by what the agent knew") {
    REQUIRE(plugin("ADD").exit_status == 0);
  }
  SECTION("none, by what the agent knew") {
    plugin.sidecar()["args"] = {"proxy", "router"};
    REQUIRE(plugin("ADD").exit_status == 0);
    REQUIRE_FALSE(plugin.is_redirected());
  }
  SECTION("IPv6 blocked, which is not in nat") {
    plugin.network["ipv6"] = "block";
    REQUIRE(plugin("ADD").exit_status == 0);
    REQUIRE(plugin.owned_rulesets().size() == 2);
  }
  SECTION("the jump is gone") {
    REQUIRE(plugin("ADD").exit_status == 0);
    find_chain(plugin.pod.backend.live.rulesets.at(0).tables.at(0), "OUTPUT")->rules.clear();
    expected = not_whole;
  }
  SECTION("a chain was flushed") {
    REQUIRE(plugin("ADD").exit_status == 0);
    find_chain(plugin.pod.backend.live.rulesets.at(0).tables.at(0), "ISTIO_OUTPUT")->rules.clear();
    expected = not_whole;
  }
  plugin.lose_agent();
  const Outcome outcome = plugin("CHECK");
  CHECK_THAT(logged(outcome, LogLevel::warn).at(0), Contains(away));
  if (expected.empty()) {
    CHECK(outcome.exit_status == 0);
  } else {
    CHECK(code_in(outcome) == Code::drift);
    CHECK(message_in(outcome) == expected);
  }
}

TEST_CASE("identify: whatever ADD writes is whole", "[identify][property]") {
  const std::uint64_t seed = random_seed();
  CAPTURE(seed);
  RandomConfig random(seed);
  for (int i = 0; i < 300; ++i) {
    CAPTURE(i);
    const PodNetwork network{.addresses = {parse_address("10.244.0.5"), parse_address("fd00::5")}};
    AgentRun plugin;
    plugin.add_address("fd00::5/64");
    const RedirectConfig config = random.next();
    if (!is_accepted(config)) continue;
    plugin.pod.backend.apply(interception(config, network));
    plugin.lose_agent();
    const Outcome outcome = plugin("CHECK");
    CAPTURE(plugin.rules());
    CHECK(outcome.exit_status == 0);
  }
}

}  // namespace
}  // namespace sluice::cni

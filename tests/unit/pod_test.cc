// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/pod.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using Args = std::map<std::string, std::string>;

const Args kubernetes{{"K8S_POD_NAMESPACE", "demo"}, {"K8S_POD_NAME", "web-0"}};

constexpr const char* status = "sidecar.istio.io/status";
constexpr const char* inject = "sidecar.istio.io/inject";
constexpr const char* templates = "inject.istio.io/templates";
constexpr const char* mode = "sidecar.istio.io/interceptionMode";
constexpr const char* injected_status =
    R"({"initContainers": ["istio-validation"], "containers": ["istio-proxy"]})";

Json forwarding(const Json& annotations) {
  return {{"runtimeConfig", {{annotations_capability, annotations}}}};
}

TEST_CASE("pod: who it is comes from CNI_ARGS", "[pod]") {
  const Pod pod = read_pod(kubernetes, Json::object());
  CHECK(pod.name_space == "demo");
  CHECK(pod.name == "web-0");
  CHECK(pod.in_kubernetes());
  CHECK_FALSE(pod.annotations.has_value());
  // podman sends a name alone, and an empty value is none.
  CHECK_FALSE(read_pod({{"K8S_POD_NAME", "web-0"}}, Json::object()).in_kubernetes());
  CHECK_FALSE(read_pod({{"K8S_POD_NAMESPACE", "demo"}}, Json::object()).in_kubernetes());
  CHECK_FALSE(read_pod({{"K8S_POD_NAMESPACE", ""}, {"K8S_POD_NAME", "web-0"}}, Json::object())
                  .in_kubernetes());
  CHECK_FALSE(read_pod({}, Json::object()).in_kubernetes());
}

TEST_CASE("pod: annotations that were not forwarded are not the same as none", "[pod]") {
  const auto annotations = [](const Json& network) { return read_pod({}, network).annotations; };
  CHECK_FALSE(annotations(Json::object()).has_value());
  CHECK_FALSE(annotations({{"runtimeConfig", nullptr}}).has_value());
  CHECK_FALSE(annotations({{"runtimeConfig", Json::object()}}).has_value());
  CHECK(annotations(forwarding(nullptr)) == Annotations());
  CHECK(annotations(forwarding(Json::object())) == Annotations());
  CHECK(annotations(forwarding({{status, "x"}})) == Annotations{{status, "x"}});
  // Runtimes spell their keys in any case.
  const Json odd{{"RuntimeConfig", {{"IO.kubernetes.cri.Pod-Annotations", {{status, "x"}}}}}};
  CHECK(annotations(odd) == Annotations{{status, "x"}});
}

TEST_CASE("pod: only annotations that Sluice reads are looked at", "[pod]") {
  const Json all{{status, "x"},
                 {inject, "true"},
                 {templates, "sidecar"},
                 {"sluice.dev/proxy-uid", "5"},
                 {"traffic.sidecar.istio.io/excludeInboundPorts", ""},
                 {"app.example.com/number", 5},
                 {"SIDECAR.istio.io/interceptionMode", "NONE"},
                 {"sluice.dev/proxy-gid", nullptr},
                 {"", "empty"}};
  CHECK(known_annotations(all, "x") ==
        Annotations{{status, "x"},
                    {inject, "true"},
                    {templates, "sidecar"},
                    {"sluice.dev/proxy-uid", "5"},
                    {"traffic.sidecar.istio.io/excludeInboundPorts", ""}});
  CHECK(known_annotations(nullptr, "x").empty());
}

TEST_CASE("pod: annotations of the wrong type", "[pod]") {
  for (const Json& wrong : {Json(5), Json("x"), Json::array(), Json(true)}) {
    CAPTURE(to_line(wrong));
    CHECK(code_thrown_by([&] {
            read_pod({}, {{"runtimeConfig", wrong}});
          }) == Code::invalid_config);
    CHECK(code_thrown_by([&] { read_pod({}, forwarding(wrong)); }) == Code::invalid_config);
    CHECK_THAT(message_of([&] { known_annotations(wrong, "metadata.annotations"); }),
               StartsWith("metadata.annotations is not an object"));
  }
  const Error error = thrown_by([] { read_pod({}, forwarding({{status, {1, 2}}})); });
  CHECK(code_of(error) == Code::invalid_config);
  CHECK(error.what() ==
        std::string(R"(annotation sidecar.istio.io/status: "[1,2]" is not a string)"));
}

Decision decide_for(const Annotations& annotations) {
  return decide({}, {.name_space = "demo", .name = "web-0", .annotations = annotations});
}

void check_passed(const Decision& decision, const std::string& reason) {
  CHECK_FALSE(decision.redirect);
  CHECK(decision.reason == reason);
}

TEST_CASE("decide: an injected pod is redirected", "[decide]") {
  for (const Annotations& annotations : std::vector<Annotations>{
           {{status, injected_status}},
           {{status, ""}},
           {{status, "not json"}},
           {{status, "[]"}},
           {{status, R"({"containers": null})"}},
           {{status, R"({"containers": [], "initContainers": [5]})"}},
           {{status, R"({"initContainers": ["istio-validation", "istio-proxy"]})"}},
           {{status, R"({"initContainers": ["istio-validation"], "containers": null})"}},
           {{status, R"({"initContainers": ["istio-proxy"], "containers": ["app"]})"}},
           {{status, R"({"initContainers": ["app"]})"}},
           {{status, injected_status}, {inject, "true"}},
           {{status, injected_status}, {inject, "no"}},
           {{status, injected_status}, {inject, ""}},
           {{status, injected_status}, {templates, ""}},
           {{status, injected_status}, {templates, "sidecar,custom"}},
           {{status, injected_status}, {templates, "my-gateway,grpc"}},
           {{status, injected_status}, {mode, "REDIRECT"}},
       }) {
    CAPTURE(annotations);
    const Decision decision = decide_for(annotations);
    CHECK(decision.redirect);
    CHECK(decision.reason == "it is injected");
  }
}

TEST_CASE("decide: annotations that say there is no sidecar", "[decide]") {
  check_passed(decide_for({}), "annotation sidecar.istio.io/status is absent");
  check_passed(decide_for({{inject, "true"}}), "annotation sidecar.istio.io/status is absent");
  for (const char* no : {"false", "False", "FALSE", "f", "F", "0"}) {
    check_passed(decide_for({{status, injected_status}, {inject, no}}),
                 "annotation sidecar.istio.io/inject is false");
  }
  for (const char* other :
       {"gateway", "sidecar,gateway", " gateway ", "grpc-agent", "sidecar, grpc-simple"}) {
    check_passed(decide_for({{status, injected_status}, {templates, other}}),
                 std::string("annotation inject.istio.io/templates is \"") + other + "\"");
  }
  for (const char* with_init :
       {R"({"initContainers": ["istio-init"], "containers": ["istio-proxy"]})",
        R"({"containers": ["istio-init", "istio-proxy"]})"}) {
    check_passed(decide_for({{status, with_init}}), "the init container istio-init redirects it");
  }
  for (const char* without : {R"({"containers": ["app"]})",
                              R"({"initContainers": ["istio-validation"], "containers": ["x"]})"}) {
    check_passed(decide_for({{status, without}}), "no container istio-proxy is injected");
  }
  check_passed(decide_for({{status, injected_status}, {mode, "NONE"}}),
               "its interception mode is NONE");
}

TEST_CASE("decide: the word of each reason in annotations", "[decide]") {
  const auto why = [](const Annotations& annotations) { return decide_for(annotations).why; };
  CHECK(why({}) == Reason::no_status);
  CHECK(why({{status, "{}"}}) == Reason::injected);
  CHECK(why({{status, "{}"}, {inject, "false"}}) == Reason::inject_false);
  CHECK(why({{status, "{}"}, {templates, "gateway"}}) == Reason::other_template);
  CHECK(why({{status, R"({"containers": ["istio-init"]})"}}) == Reason::istio_init);
  CHECK(why({{status, R"({"containers": ["app"]})"}}) == Reason::no_sidecar);
  CHECK(why({{status, "{}"}, {mode, "NONE"}}) == Reason::mode_none);
  CHECK(why({{status, "{}"},
             {"proxy.istio.io/config", R"({"proxyMetadata": {"DISABLE_ENVOY": "true"}})"}}) ==
        Reason::proxyless);
  CHECK(decide({}, {.name_space = "", .name = "", .annotations = {}}).why ==
        Reason::not_kubernetes);
  PluginConfig config;
  config.pass_missing_annotations = true;
  CHECK(decide(config, {.name_space = "demo", .name = "web-0", .annotations = {}}).why ==
        Reason::annotations_missing);
}

TEST_CASE("decide: pods outside of Kubernetes and excluded namespaces", "[decide]") {
  const Annotations injected{{status, injected_status}};
  check_passed(decide({}, {.name_space = "", .name = "web-0", .annotations = injected}),
               "it is not a Kubernetes pod");
  PluginConfig config;
  config.exclude_namespaces = {"kube-system", "demo"};
  const Pod pod{.name_space = "demo", .name = "web-0", .annotations = injected};
  check_passed(decide(config, pod), R"(namespace "demo" is excluded)");
  // Before the annotations are asked for.
  check_passed(decide(config, {.name_space = "demo", .name = "web-0", .annotations = {}}),
               R"(namespace "demo" is excluded)");
  config.exclude_namespaces = {"demo2", "dem", ""};
  CHECK(decide(config, pod).redirect);
}

TEST_CASE("decide: the agent's own pods pass, others of their names do not", "[decide]") {
  PluginConfig config;
  config.agent_daemon_set = {.name_space = "sluice-system", .name = "sluice-agent"};
  const auto passes = [&](const std::string& name_space, const std::string& name) {
    const Args args{{"K8S_POD_NAMESPACE", name_space}, {"K8S_POD_NAME", name}};
    const Decision decision = decide(config, read_pod(args, forwarding({{status, "{}"}})));
    CHECK((decision.why == Reason::agent_pod) != decision.redirect);
    return !decision.redirect;
  };
  CHECK(passes("sluice-system", "sluice-agent-x7k2z"));
  CHECK(passes("sluice-system", "sluice-agent-bcdfg"));
  CHECK_FALSE(passes("demo", "sluice-agent-x7k2z"));
  for (const char* name :
       {"sluice-agent", "sluice-agent-", "sluice-agent-x7k2", "sluice-agent-x7k2zz",
        "sluice-agent-x7k2a", "sluice-agent-x7k21", "sluice-agent-X7K2Z", "sluice-agent-x-k2z",
        "sluice-agentx7k2zz", "x-sluice-agent-x7k2z", "sluice-agent-x7k2z-x7k2z"}) {
    CAPTURE(name);
    CHECK_FALSE(passes("sluice-system", name));
  }
  // Longer names are cut before the letters are added.
  config.agent_daemon_set.name = std::string(70, 'n');
  CHECK(passes("sluice-system", std::string(58, 'n') + "x7k2z"));
  CHECK_FALSE(passes("sluice-system", std::string(70, 'n') + "-x7k2z"));
  config.agent_daemon_set = {};
  CHECK_FALSE(passes("demo", "-x7k2z"));
}

TEST_CASE("decide: a pod whose annotations are not known", "[decide]") {
  PluginConfig config;
  const Pod pod{.name_space = "demo", .name = "web-0", .annotations = {}};
  const Error error = thrown_by([&] { decide(config, pod); });
  CHECK(code_of(error) == Code::invalid_config);
  CHECK_THAT(error.what(), Contains(annotations_capability));
  config.pass_missing_annotations = true;
  check_passed(decide(config, pod), "its annotations were not forwarded");
}

TEST_CASE("decide: redirecting all needs no annotations", "[decide]") {
  PluginConfig config;
  config.redirect_all = true;
  for (const Pod& pod :
       {Pod{}, Pod{.name_space = "demo", .name = "web-0", .annotations = {}},
        Pod{.name_space = "demo", .name = "web-0", .annotations = Annotations()},
        Pod{.name_space = "", .name = "c", .annotations = Annotations{{inject, "false"}}}}) {
    const Decision decision = decide(config, pod);
    CHECK(decision.redirect);
    CHECK(decision.reason == "the configuration redirects all");
  }
  config.exclude_namespaces = {"demo"};
  CHECK_FALSE(decide(config, {.name_space = "demo", .name = "web-0", .annotations = {}}).redirect);
  config.defaults.mode = InterceptionMode::none;
  check_passed(decide(config, {}), "its interception mode is NONE");
}

TEST_CASE("decide: annotations beat the namespace, which beats the defaults", "[decide]") {
  using Ids = std::vector<std::uint32_t>;
  PluginConfig config;
  config.defaults.proxy_uids = {1};
  config.defaults.proxy_gids = {2};
  config.defaults.proxy_port = 3;
  config.namespaces["demo"].uids = {10};
  Pod pod{.name_space = "demo", .name = "web-0", .annotations = Annotations{{status, ""}}};
  CHECK(decide(config, pod).config.proxy_uids == Ids{10});
  CHECK(decide(config, pod).config.proxy_gids == Ids{2});
  CHECK(decide(config, pod).config.proxy_port == 3);
  config.namespaces["demo"].gids = {20};
  CHECK(decide(config, pod).config.proxy_gids == Ids{20});
  pod.annotations->emplace("sluice.dev/proxy-uid", "100");
  pod.annotations->emplace("sluice.dev/proxy-gid", "200");
  CHECK(decide(config, pod).config.proxy_uids == Ids{100});
  CHECK(decide(config, pod).config.proxy_gids == Ids{200});
  pod.name_space = "other";
  pod.annotations = Annotations{{status, ""}};
  CHECK(decide(config, pod).config.proxy_uids == Ids{1});
}

TEST_CASE("decide: what cannot be followed is fatal to a pod of ours alone", "[decide]") {
  PluginConfig config;
  config.problems = {"key \"a\": wrong", "key \"b\": wrong"};
  Pod pod{.name_space = "demo", .name = "web-0", .annotations = Annotations{{status, ""}}};
  const Error error = thrown_by([&] { decide(config, pod); });
  CHECK(code_of(error) == Code::invalid_config);
  CHECK(error.what() == std::string("network configuration: key \"a\": wrong"));
  pod.annotations->emplace(inject, "false");
  CHECK_FALSE(decide(config, pod).redirect);
  config.problems.clear();
  pod.annotations->emplace("traffic.sidecar.istio.io/excludeInboundPorts", "http");
  CHECK_FALSE(decide(config, pod).redirect);
  pod.annotations->erase(inject);
  CHECK(code_thrown_by([&] { decide(config, pod); }) == Code::invalid_config);
}

}  // namespace
}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/pod_facts.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cni/pod.h"
#include "cni/pod_object.h"
#include "rules/parse.h"
#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using Ids = std::vector<std::uint32_t>;

// An injected pod as the API server has it.
Json injected_pod() {
  return Json::parse(R"({
      "kind": "Pod",
      "metadata": {"name": "web-0", "namespace": "demo", "labels": {},
                   "annotations": {"sidecar.istio.io/status": "{}"}},
      "spec": {
        "initContainers": [{"name": "istio-validation"}],
        "containers": [{"name": "app"},
                       {"name": "istio-proxy", "args": ["proxy", "sidecar", "--domain"],
                        "env": []}]}})");
}

Json& sidecar_in(Json& pod) {
  return pod["spec"]["containers"][1];
}

Json with_env(const Json& entries) {
  Json pod = injected_pod();
  sidecar_in(pod)["env"] = entries;
  return pod;
}

Decision decided(const Json& pod, const PluginConfig& config = {}) {
  return decide(config, read_pod_object(pod).pod);
}

std::string reason(const Json& pod) {
  const Decision decision = decided(pod);
  CHECK_FALSE(decision.redirect);
  return decision.reason;
}

TEST_CASE("pod_facts: what a Pod says", "[pod_facts]") {
  Json pod = injected_pod();
  pod["metadata"]["labels"]["sidecar.istio.io/inject"] = "true";
  pod["spec"]["securityContext"] = {{"runAsUser", 5}, {"runAsGroup", 6}};
  sidecar_in(pod)["securityContext"] = {{"runAsUser", 7}};
  sidecar_in(pod)["env"] = Json::parse(R"([
      {"name": "ISTIO_DUAL_STACK", "value": "false"}, {"name": "ISTIO_DUAL_STACK", "value": "true"},
      {"name": "INVALID_DROP"}, {"name": "POD_NAME", "valueFrom": {"fieldRef": {}}},
      {"name": "ISTIO_META_DNS_CAPTURE", "valueFrom": {"configMapKeyRef": {}}}, {}])");
  const std::optional<PodFacts> facts = read_pod_facts(pod);
  REQUIRE(facts);
  CHECK(facts->inject_label == "true");
  CHECK_FALSE(facts->has_init);
  CHECK_FALSE(facts->host_network);
  REQUIRE(facts->sidecar);
  CHECK(facts->sidecar->uid == 7);
  CHECK(facts->sidecar->gid == 6);
  CHECK(facts->sidecar->args == std::vector<std::string>{"proxy", "sidecar", "--domain"});
  const ProxyEnv& env = facts->sidecar->env;
  CHECK(env.size() == 3);
  // The last one of a name counts.
  CHECK(env.at("ISTIO_DUAL_STACK").value == "true");
  CHECK(env.at("ISTIO_DUAL_STACK").where == "container \"istio-proxy\": env ISTIO_DUAL_STACK");
  CHECK(env.at("INVALID_DROP").value == "");
  CHECK_FALSE(env.at("ISTIO_META_DNS_CAPTURE").value.has_value());
}

TEST_CASE("pod_facts: a manifest without containers says nothing of them", "[pod_facts]") {
  for (const char* text : {R"({"kind": "Pod"})", R"({"kind": "Pod", "spec": null})",
                           R"({"kind": "Pod", "spec": {"hostNetwork": true}})",
                           R"({"kind": "Pod", "spec": {"containers": []}})"}) {
    CAPTURE(text);
    CHECK_FALSE(read_pod_facts(Json::parse(text)).has_value());
  }
}

TEST_CASE("pod_facts: what is of the wrong type is named", "[pod_facts]") {
  const std::vector<std::pair<Json::json_pointer, std::string>> places{
      {Json::json_pointer("/spec/containers"), "spec.containers is not an array"},
      {Json::json_pointer("/spec/initContainers"), "spec.initContainers is not an array"},
      {Json::json_pointer("/spec/hostNetwork"), "spec.hostNetwork is not true or false"},
      {Json::json_pointer("/spec/containers/0/name"), "spec.containers[].name is not a string"},
      {Json::json_pointer("/spec/containers/1/args"), "\"istio-proxy\": args is not an array"},
      {Json::json_pointer("/spec/containers/1/env"), "\"istio-proxy\": env is not an array"},
      {Json::json_pointer("/metadata/labels/sidecar.istio.io~1inject"),
       "label sidecar.istio.io/inject is not a string"},
      {Json::json_pointer("/spec/securityContext/runAsUser"),
       "securityContext.runAsUser is not a whole number"},
  };
  for (const auto& [place, message] : places) {
    CAPTURE(message);
    Json pod = injected_pod();
    pod[place] = Json::object({{"a", 1}});
    CHECK_THAT(message_of([&] { read_pod_object(pod); }), Contains(message));
    pod[place] = nullptr;
    CHECK_NOTHROW(read_pod_object(pod));
  }
  CHECK_THAT(message_of([] {
               read_pod_object(with_env({{{"name", 5}}}));
             }),
             Contains("env[].name is not a string"));
  CHECK_THAT(message_of([] {
               read_pod_object(with_env({{{"name", "INVALID_DROP"}, {"value", true}}}));
             }),
             Contains("container \"istio-proxy\": env INVALID_DROP is not a string"));
  // Nobody reads it, whatever it is.
  CHECK(decided(with_env({{{"name", "PATH"}, {"value", true}}})).redirect);
  for (const Json& id : {Json(-1), Json(4294967295), Json(1.5), Json("0")}) {
    Json pod = injected_pod();
    sidecar_in(pod)["securityContext"] = {{"runAsGroup", id}};
    CHECK_THAT(message_of([&] { read_pod_object(pod); }),
               StartsWith("securityContext.runAsGroup "));
  }
}

TEST_CASE("decide: a whole Pod, in istio-cni's order", "[decide]") {
  CHECK(decided(injected_pod()).redirect);
  Json pod = injected_pod();
  pod["metadata"]["annotations"].erase("sidecar.istio.io/status");
  CHECK(reason(pod) == "annotation sidecar.istio.io/status is absent");
  pod["metadata"]["annotations"]["sidecar.istio.io/inject"] = "false";
  CHECK(reason(pod) == "annotation sidecar.istio.io/inject is false");
  pod["metadata"]["labels"]["sidecar.istio.io/inject"] = "false";
  CHECK(reason(pod) == "label sidecar.istio.io/inject is false");
  sidecar_in(pod)["args"][1] = "router";
  CHECK(reason(pod) == "its proxy is of type \"router\"");
  sidecar_in(pod)["env"] = {{{"name", "DISABLE_ENVOY"}, {"value", "true"}}};
  CHECK(reason(pod) == "DISABLE_ENVOY is true");
  sidecar_in(pod)["name"] = "envoy";
  CHECK(reason(pod) == "it has no container istio-proxy");
  pod["spec"]["initContainers"].push_back({{"name", "istio-init"}});
  CHECK(reason(pod) == "the init container istio-init redirects it");
  pod["spec"]["hostNetwork"] = true;
  CHECK(reason(pod) == "it uses the host's network");
  PluginConfig all;
  all.redirect_all = true;
  CHECK_FALSE(decided(pod, all).redirect);
}

TEST_CASE("decide: the word of each reason in a Pod", "[decide]") {
  const auto why = [](const Json& pod, const PluginConfig& config = {}) {
    return decided(pod, config).why;
  };
  CHECK(why(injected_pod()) == Reason::injected);
  PluginConfig all;
  all.redirect_all = true;
  CHECK(why(injected_pod(), all) == Reason::redirect_all);
  Json pod = injected_pod();
  pod["metadata"]["annotations"]["sidecar.istio.io/interceptionMode"] = "NONE";
  CHECK(why(pod) == Reason::mode_none);
  pod["metadata"]["annotations"].erase("sidecar.istio.io/status");
  CHECK(why(pod) == Reason::no_status);
  pod["metadata"]["labels"]["sidecar.istio.io/inject"] = "false";
  CHECK(why(pod) == Reason::inject_false);
  sidecar_in(pod)["args"][1] = "router";
  CHECK(why(pod) == Reason::other_proxy);
  sidecar_in(pod)["env"] = {{{"name", "DISABLE_ENVOY"}, {"value", "true"}}};
  CHECK(why(pod) == Reason::proxyless);
  sidecar_in(pod)["name"] = "envoy";
  CHECK(why(pod) == Reason::no_sidecar);
  pod["spec"]["initContainers"].push_back({{"name", "istio-init"}});
  CHECK(why(pod) == Reason::istio_init);
  pod["spec"]["hostNetwork"] = true;
  CHECK(why(pod) == Reason::host_network);
  PluginConfig excluding;
  excluding.exclude_namespaces = {"demo"};
  CHECK(why(pod, excluding) == Reason::excluded_namespace);
}

TEST_CASE("decide: a label beats the annotation, whatever it says", "[decide]") {
  Json pod = injected_pod();
  pod["metadata"]["annotations"]["sidecar.istio.io/inject"] = "false";
  for (const char* label : {"true", "yes", ""}) {
    pod["metadata"]["labels"]["sidecar.istio.io/inject"] = label;
    CHECK(decided(pod).redirect);
  }
}

TEST_CASE("decide: containers beat what annotations hint at", "[decide]") {
  Json pod = injected_pod();
  pod["metadata"]["annotations"]["inject.istio.io/templates"] = "gateway";
  pod["metadata"]["annotations"]["sidecar.istio.io/status"] = R"({"containers": ["other"]})";
  CHECK(decided(pod).redirect);
  // A native sidecar.
  pod = injected_pod();
  pod["spec"]["initContainers"].push_back(sidecar_in(pod));
  pod["spec"]["containers"].erase(1);
  CHECK(decided(pod).redirect);
  // Without a type the proxy is a sidecar.
  for (const char* args : {"[]", R"(["proxy"])", R"(["wait", "router"])", "null"}) {
    pod = injected_pod();
    sidecar_in(pod)["args"] = Json::parse(args);
    CHECK(decided(pod).redirect);
  }
}

TEST_CASE("decide: the sidecar's user and group", "[decide]") {
  PluginConfig config;
  config.namespaces["demo"] = {.uids = {11}, .gids = {12}};
  Json pod = injected_pod();
  CHECK(decided(pod, config).config.proxy_uids == Ids{11});
  pod["spec"]["securityContext"] = {{"runAsUser", 21}, {"runAsGroup", 22}};
  CHECK(decided(pod, config).config.proxy_uids == Ids{21});
  CHECK(decided(pod, config).config.proxy_gids == Ids{22});
  sidecar_in(pod)["securityContext"] = {{"runAsUser", 31}};
  CHECK(decided(pod, config).config.proxy_uids == Ids{31});
  CHECK(decided(pod, config).config.proxy_gids == Ids{22});
  // 0 is no override, and the pod's does not come in its place.
  sidecar_in(pod)["securityContext"] = {{"runAsUser", 0}};
  CHECK(decided(pod, config).config.proxy_uids == Ids{11});
  pod["metadata"]["annotations"]["sluice.dev/proxy-uid"] = "41,42";
  CHECK(decided(pod, config).config.proxy_uids == Ids{41, 42});
  CHECK(decided(injected_pod()).config.proxy_uids == Ids{1337});
}

TEST_CASE("decide: the order of sources", "[decide]") {
  PluginConfig config;
  Json pod = injected_pod();
  const auto dns = [&] { return decided(pod, config).config.dns_capture; };
  CHECK(dns() == DnsCapture::off);
  config.defaults.dns_capture = DnsCapture::all;
  CHECK(dns() == DnsCapture::all);
  Json& annotations = pod["metadata"]["annotations"];
  annotations["proxy.istio.io/config"] = "proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'false'}";
  CHECK(dns() == DnsCapture::off);
  sidecar_in(pod)["env"] = {{{"name", "ISTIO_META_DNS_CAPTURE"}, {"value", "true"}}};
  CHECK(dns() == DnsCapture::all);
  // The other name of the same variable is in the container, and that counts.
  sidecar_in(pod)["env"] = {{{"name", "REDIRECT_DNS"}, {"value", "true"}}};
  CHECK(dns() == DnsCapture::all);
  annotations["sluice.dev/dns-capture"] = "off";
  CHECK(dns() == DnsCapture::off);
}

Pod annotated(const std::string& proxy_config) {
  return {.name_space = "demo",
          .name = "web-0",
          .annotations = Annotations{{"sidecar.istio.io/status", "{}"},
                                     {"proxy.istio.io/config", proxy_config}}};
}

TEST_CASE("decide: proxy.istio.io/config without a Pod", "[decide]") {
  const RedirectConfig config =
      decide({}, annotated("interceptionMode: TPROXY\nproxyMetadata:\n  ISTIO_DUAL_STACK: 'true'"))
          .config;
  CHECK(config.mode == InterceptionMode::tproxy);
  CHECK(config.dual_stack);
  CHECK(decide({}, annotated("interceptionMode: NONE")).reason == "its interception mode is NONE");
  CHECK(decide({}, annotated("proxyMetadata: {DISABLE_ENVOY: 'true'}")).reason ==
        "DISABLE_ENVOY is true");
  CHECK(decide({}, annotated("proxyMetadata: {DISABLE_ENVOY: 'yes'}")).redirect);
  // The annotation of its own is the later word.
  Pod pod = annotated("interceptionMode: NONE");
  pod.annotations->emplace("sidecar.istio.io/interceptionMode", "REDIRECT");
  CHECK(decide({}, pod).config.mode == InterceptionMode::redirect);
  PluginConfig all;
  all.redirect_all = true;
  CHECK(decide(all, annotated("proxyMetadata: {DISABLE_ENVOY: 'true'}")).redirect);
}

TEST_CASE("decide: a proxy.istio.io/config that cannot be followed", "[decide]") {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"a: [", "annotation proxy.istio.io/config: line 1: it is not valid YAML"},
      {"a: &a 1", "annotation proxy.istio.io/config: line 1: anchors are not accepted"},
      {"interceptionMode: none",
       "annotation proxy.istio.io/config: interceptionMode: \"none\" is not REDIRECT"},
      {"proxyMetadata: {ISTIO_DUAL_STACK: 'yes'}",
       "annotation proxy.istio.io/config: proxyMetadata ISTIO_DUAL_STACK: \"yes\" is not true"},
  };
  for (const auto& [text, message] : bad) {
    Pod pod = annotated(text);
    const Error error = thrown_by([&] { decide({}, pod); });
    CHECK(code_of(error) == Code::invalid_config);
    CHECK_THAT(error.what(), StartsWith(message));
    // It is not even looked at in a pod that is passed.
    pod.annotations->emplace("sidecar.istio.io/inject", "false");
    CHECK_FALSE(decide({}, pod).redirect);
    pod.annotations->erase("sidecar.istio.io/inject");
    pod.annotations->erase("sidecar.istio.io/status");
    CHECK_FALSE(decide({}, pod).redirect);
  }
}

TEST_CASE("decide: values of the container that would open the pod are refused", "[decide]") {
  const Error error = thrown_by([] {
    decided(with_env({{{"name", "ISTIO_DUAL_STACK"}, {"value", "yes"}}}));
  });
  CHECK(code_of(error) == Code::invalid_config);
  CHECK(error.what() ==
        std::string("container \"istio-proxy\": env ISTIO_DUAL_STACK: \"yes\" is not true or "
                    "false"));
  CHECK_THAT(message_of([] {
               decided(with_env({{{"name", "ISTIO_OUTBOUND_OWNER_GROUPS"},
                                  {"valueFrom", {{"configMapKeyRef", {}}}}}}));
             }),
             StartsWith("container \"istio-proxy\": env ISTIO_OUTBOUND_OWNER_GROUPS: its value"));
}

}  // namespace
}  // namespace sluice::cni

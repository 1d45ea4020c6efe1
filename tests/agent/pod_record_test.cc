// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/pod_record.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "agent/kube/json_shape.h"
#include "cni/pod_object.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

using Catch::Matchers::Contains;
using cni::Json;

Json pod() {
  return Json::parse(R"({
    "metadata": {"name": "web-0", "namespace": "demo", "uid": "u-1", "resourceVersion": "7",
      "managedFields": [{"manager": "kubelet"}],
      "labels": {"app": "web", "sidecar.istio.io/inject": "true"},
      "annotations": {"sidecar.istio.io/status": "{}", "other": "x", "sluice.dev/log": "true",
        "kubectl.kubernetes.io/last-applied-configuration": "{...}"}},
    "spec": {"nodeName": "node-1", "volumes": [{"name": "v"}], "hostNetwork": false,
      "securityContext": {"runAsUser": 1, "fsGroup": 2},
      "initContainers": [{"name": "istio-validation", "args": ["a"], "env": [{"name": "X"}]}],
      "containers": [
        {"name": "app", "args": ["secret"], "env": [{"name": "PASSWORD", "value": "secret"}]},
        {"env": [{"name": "PASSWORD", "value": "secret"}, {"name": "ISTIO_DUAL_STACK", "value": "1"},
                 {"name": "INVALID_DROP", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
         "args": ["proxy", "sidecar"], "image": "proxy", "name": "istio-proxy",
         "securityContext": {"runAsUser": 5, "runAsGroup": 6, "capabilities": {}}}]},
    "status": {"phase": "Running", "hostIP": "192.0.2.1", "podIP": "10.0.0.1",
      "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
      "containerStatuses": [{"name": "app", "state": {"terminated": {"exitCode": 126}}}]}})");
}

PodRecord record_of(const Json& object) {
  return read_pod_record(parse_pod(object.dump()));
}

// All that is known of the containers.
std::vector<std::string> words_of(const cni::PodFacts& facts) {
  std::vector<std::string> words{facts.has_init ? "init" : "", facts.inject_label.value_or("-")};
  if (!facts.sidecar) return words;
  words.insert(words.end(), facts.sidecar->args.begin(), facts.sidecar->args.end());
  words.push_back(std::to_string(facts.sidecar->uid.value_or(0)));
  words.push_back(std::to_string(facts.sidecar->gid.value_or(0)));
  for (const auto& [name, variable] : facts.sidecar->env) {
    words.push_back(name + "=" + variable.value.value_or("-"));
  }
  return words;
}

// What the error says; empty if there is none.
template <class Function>
std::string message_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

Json with(const std::string& pointer, const Json& value) {
  Json object = pod();
  object[Json::json_pointer(pointer)] = value;
  return object;
}

}  // namespace

TEST_CASE("a record keeps what decisions need and nothing else") {
  const PodRecord record = record_of(pod());
  CHECK(record.name_space == "demo");
  CHECK(record.name == "web-0");
  CHECK(record.uid == "u-1");
  CHECK(record.addresses ==
        std::vector<IpAddress>{parse_address("10.0.0.1"), parse_address("fd00::1")});
  CHECK_FALSE(record.host_network);
  CHECK_FALSE(record.finished);
  CHECK_FALSE(record.validation_failed);
  CHECK(Json::parse(record.object) == Json::parse(R"({
    "kind": "Pod", "apiVersion": "v1",
    "metadata": {"name": "web-0", "namespace": "demo",
      "labels": {"sidecar.istio.io/inject": "true"},
      "annotations": {"sidecar.istio.io/status": "{}", "sluice.dev/log": "true"}},
    "spec": {"hostNetwork": false, "securityContext": {"runAsUser": 1},
      "initContainers": [{"name": "istio-validation"}],
      "containers": [{"name": "app"},
        {"name": "istio-proxy", "args": ["proxy", "sidecar"],
         "env": [{"name": "ISTIO_DUAL_STACK", "value": "1"},
                 {"name": "INVALID_DROP", "valueFrom": {}}],
         "securityContext": {"runAsUser": 5, "runAsGroup": 6}}]},
    "status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}})"));
}

TEST_CASE("the reduced Pod means what the whole one does") {
  const cni::PodObject whole = cni::read_pod_object(with("/kind", "Pod"));
  const cni::PodObject reduced = cni::read_pod_object(Json::parse(record_of(pod()).object));
  REQUIRE(whole.pod.facts);
  REQUIRE(reduced.pod.facts);
  CHECK(reduced.pod.name == whole.pod.name);
  CHECK(reduced.pod.name_space == whole.pod.name_space);
  CHECK(reduced.pod.annotations == whole.pod.annotations);
  CHECK(reduced.addresses == whole.addresses);
  CHECK(words_of(*reduced.pod.facts) == words_of(*whole.pod.facts));
}

TEST_CASE("a record is the same whatever else changes in its pod") {
  const PodRecord record = record_of(pod());
  CHECK(record_of(with("/metadata/resourceVersion", "8")) == record);
  CHECK(record_of(with("/status/containerStatuses/0/ready", true)) == record);
  CHECK_FALSE(record_of(with("/metadata/annotations/sluice.dev~1log", "false")) == record);
}

TEST_CASE("a record tells what the pod's life has come to") {
  CHECK(record_of(with("/spec/hostNetwork", true)).host_network);
  CHECK(record_of(with("/status/phase", "Succeeded")).finished);
  CHECK(record_of(with("/status/phase", "Failed")).finished);
  CHECK(record_of(with("/metadata/deletionTimestamp", "2026-01-01T00:00:00Z")).finished);
  CHECK_FALSE(record_of(with("/metadata/deletionTimestamp", nullptr)).finished);
}

TEST_CASE("a record tells that the validation has found no redirection") {
  const auto failed = [](const char* list, const char* key, int exit_code) {
    const Json terminated{{"terminated", {{"exitCode", exit_code}}}};
    const Json statuses = Json::array({nullptr, {{"name", "istio-validation"}, {key, terminated}}});
    return record_of(with(std::string("/status/") + list, statuses)).validation_failed;
  };
  CHECK(failed("initContainerStatuses", "state", 126));
  CHECK(failed("initContainerStatuses", "lastState", 126));
  CHECK(failed("containerStatuses", "state", 126));
  CHECK_FALSE(failed("initContainerStatuses", "state", 1));
  CHECK_FALSE(failed("initContainerStatuses", "other", 126));
}

TEST_CASE("a mirror of a static pod is known by the kubelet's UID too") {
  Json mirror = with("/metadata/annotations/kubernetes.io~1config.hash", "h");
  CHECK(record_of(mirror).mirror_uid.empty());  // the file's hash alone: no mirror
  mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "h";
  CHECK(record_of(mirror).is("h"));
  CHECK_THAT(record_of(mirror).object, !Contains("config.hash"));
}

TEST_CASE("a single address counts where there is no list") {
  Json old = pod();
  old["status"].erase("podIPs");
  CHECK(record_of(old).addresses == std::vector<IpAddress>{parse_address("10.0.0.1")});
  const Json broken = Json::parse(R"([{"ip":"x"},{"ip":7},null,{"ip":"10.0.0.2"}])");
  CHECK(record_of(with("/status/podIPs", broken)).addresses.size() == 1);
}

TEST_CASE("what is no Pod is refused") {
  CHECK_THROWS_WITH(record_of(with("/kind", "Node")), Contains("kind \"Node\""));
  std::size_t refused = 0;
  for (const char* text : {"[]", "null", "7", "\"Pod\""}) {
    if (!message_of([&] { read_pod_record(parse_pod(text)); }).empty()) ++refused;
  }
  CHECK(refused == 4);
}

TEST_CASE("a Pod without its identity is refused by name") {
  std::vector<std::string> accepted;
  for (const char* key : {"name", "namespace", "uid"}) {
    const std::string path = std::string("metadata.") + key;
    for (const Json& value : {Json(nullptr), Json(""), Json(7), Json::array(), Json::object()}) {
      const std::string at = std::string("/metadata/") + key;
      const std::string said = message_of([&] { record_of(with(at, value)); });
      if (said.find(path) == std::string::npos) accepted.push_back(path + value.dump());
    }
  }
  CHECK(accepted.empty());
}

TEST_CASE("a wrong type in any place is left for whom it matters to") {
  const Json flat = pod().flatten();
  std::size_t tried = 0;
  std::size_t longest = 0;
  const auto attempt = [&](const std::string& at, const Json& wrong) {
    const std::string said = message_of([&] {
      const PodRecord record = record_of(with(at, wrong));
      static_cast<void>(cni::read_pod_object(Json::parse(record.object)));
    });
    ++tried;
    longest = std::max(longest, said.size());
  };
  for (const Json& wrong : {Json(nullptr), Json(-1.5), Json(true), Json("\u2028"), Json::array(),
                            Json::object(), Json::array({Json::array({nullptr, 7})})}) {
    for (const auto& [pointer, value] : flat.items()) {
      for (std::string at = pointer; !at.empty(); at.erase(at.rfind('/'))) attempt(at, wrong);
    }
  }
  CHECK(tried > 7 * flat.size());
  CHECK(longest < 1024);
}

TEST_CASE("a sidecar that cannot be read is not taken for one that says nothing") {
  std::vector<std::string> accepted;
  for (const auto& [at, wrong] : std::vector<std::pair<std::string, Json>>{
           {"/spec/containers", Json::object({{"a", 1}})},
           {"/spec/containers/1/name", 7},
           {"/spec/containers/1/env", "x"},
           {"/spec/containers/1/env/0/name", 7},
           {"/spec/containers/1/env/1/value", Json::object()},
           {"/spec/containers/1/args/0", Json::array()},
           {"/spec/containers/1/securityContext/runAsUser", "x"},
           {"/spec/hostNetwork", "true"},
           {"/metadata/annotations", Json::array({1})},
           {"/metadata/annotations/sluice.dev~1log", true}}) {
    const std::string object = record_of(with(at, wrong)).object;
    if (message_of([&] { cni::read_pod_object(Json::parse(object)); }).empty()) {
      accepted.push_back(at);
    }
  }
  CHECK(accepted.empty());
}

TEST_CASE("of a key that stands twice the last value counts") {
  const Json parsed = parse_pod(
      R"({"metadata":{"name":"a","name":"b"},"spec":{"hostNetwork":true},"spec":{"x":1}})");
  CHECK(parsed["metadata"]["name"] == "b");
  CHECK(parsed["spec"] == Json::object());
}

TEST_CASE("text that is no JSON is refused with a place and without its content") {
  std::vector<std::string> messages;
  for (const char* text : {"", "{", "{]", "{\"metadata\":{}} x", "{\"secret\":\xff}", "nul", "[1,]",
                           "\xef\xbb\xbf{}"}) {
    messages.push_back(message_of([&] { parse_pod(text); }));
  }
  CHECK(std::all_of(messages.begin(), messages.end(), [](const std::string& said) {
    return said.find("not valid JSON") != std::string::npos &&
           said.find("secret") == std::string::npos;
  }));
  CHECK_THROWS_WITH(parse_pod(std::string("{}\0{}", 5)), Contains("NUL"));
  CHECK_THROWS_WITH(parse_pod("{\"metadata\":{\"generation\":1e999}}"), Contains("not valid JSON"));
}

TEST_CASE("depth is limited also in what is not kept") {
  const auto nested = [](std::size_t depth) {
    return "{\"x\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  CHECK_NOTHROW(parse_pod(nested(cni::json_depth_limit)));
  CHECK_THROWS_WITH(parse_pod(nested(cni::json_depth_limit + 1)), Contains("1024 levels"));
  CHECK_THROWS_WITH(parse_pod(std::string(1000000, '[')), Contains("1024 levels"));
}

TEST_CASE("many elements cost as much as their number") {
  const auto seconds = [](std::size_t count) {
    std::string text = R"({"spec":{"containers":[{"name":"istio-proxy","env":[)";
    for (std::size_t i = 0; i < count; ++i) text += R"({"name":"DUAL_STACK"},)";
    text += R"({"name":"X"}]}]}})";
    const auto start = std::chrono::steady_clock::now();
    static_cast<void>(parse_pod(text));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  // 16 times as many: 16 times the time, where a quadratic parser takes 256 times. The best of
  // three, because others use the processor too.
  const auto best = [&](std::size_t count) {
    return std::min({seconds(count), seconds(count), seconds(count)});
  };
  CHECK(best(32000) < 100 * best(2000));
}

TEST_CASE("an event of a watch is reduced like a Pod, an error keeps its message") {
  const Json added = parse_watch_event(R"({"type":"ADDED","object":)" + pod().dump() + "}");
  CHECK(added["type"] == "ADDED");
  CHECK(added["object"] == parse_pod(pod().dump()));
  const Json error = parse_watch_event(
      R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"old"}})");
  CHECK(error["object"]["code"] == 410);
  CHECK(error["object"]["message"] == "old");
  CHECK_NOTHROW(parse_watch_event("null"));
  CHECK_NOTHROW(parse_watch_event(R"({"type":7,"object":7})"));
  CHECK_NOTHROW(parse_watch_event(R"({"object":[1]})"));
  CHECK_THROWS_WITH(parse_watch_event("{"), Contains("an event of the watch"));
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/pod_record.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>

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
  CHECK(reduced.pod.name == whole.pod.name);
  CHECK(reduced.pod.name_space == whole.pod.name_space);
  CHECK(reduced.pod.annotations == whole.pod.annotations);
  CHECK(reduced.addresses == whole.addresses);
  REQUIRE(reduced.pod.facts);
  CHECK(reduced.pod.facts->has_init == whole.pod.facts->has_init);
  CHECK(reduced.pod.facts->inject_label == whole.pod.facts->inject_label);
  CHECK(reduced.pod.facts->sidecar->args == whole.pod.facts->sidecar->args);
  CHECK(reduced.pod.facts->sidecar->uid == whole.pod.facts->sidecar->uid);
  CHECK(reduced.pod.facts->sidecar->gid == whole.pod.facts->sidecar->gid);
  REQUIRE(reduced.pod.facts->sidecar->env.size() == whole.pod.facts->sidecar->env.size());
  for (const auto& [name, variable] : whole.pod.facts->sidecar->env) {
    CHECK(reduced.pod.facts->sidecar->env.at(name).value == variable.value);
  }
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
  for (const char* key : {"state", "lastState"}) {
    const Json terminated{{"terminated", {{"exitCode", 126}}}};
    const Json statuses = Json::array({{{"name", "istio-validation"}, {key, terminated}}});
    CHECK(record_of(with("/status/initContainerStatuses", statuses)).validation_failed);
    CHECK(record_of(with("/status/containerStatuses", statuses)).validation_failed);
  }
  const Json other =
      Json::parse(R"([{"name":"istio-validation","state":{"terminated":{"exitCode":1}}}])");
  CHECK_FALSE(record_of(with("/status/initContainerStatuses", other)).validation_failed);
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
  for (const char* text : {"[]", "null", "7", "\"Pod\""}) {
    CHECK_THROWS_AS(read_pod_record(parse_pod(text)), Error);
  }
  for (const char* key : {"name", "namespace", "uid"}) {
    for (const Json& value : {Json(nullptr), Json(""), Json(7), Json::array(), Json::object()}) {
      CHECK_THROWS_WITH(record_of(with(std::string("/metadata/") + key, value)),
                        Contains(std::string("metadata.") + key));
    }
  }
}

TEST_CASE("a wrong type in any place is left for whom it matters to") {
  const Json flat = pod().flatten();
  for (const Json& wrong : {Json(nullptr), Json(-1.5), Json(true), Json("\u2028"), Json::array(),
                            Json::object(), Json::array({Json::array({nullptr, 7})})}) {
    for (const auto& [pointer, value] : flat.items()) {
      for (std::string at = pointer; !at.empty(); at.erase(at.rfind('/'))) {
        try {
          const PodRecord record = record_of(with(at, wrong));
          static_cast<void>(cni::read_pod_object(Json::parse(record.object)));
        } catch (const Error& error) {
          CHECK(std::string(error.what()).size() < 1024);
        }
      }
    }
  }
}

TEST_CASE("a sidecar that cannot be read is not taken for one that says nothing") {
  const auto facts = [](const Json& object) {
    return cni::read_pod_object(Json::parse(record_of(object).object));
  };
  CHECK_THROWS_AS(facts(with("/spec/containers", Json::object({{"a", 1}}))), Error);
  CHECK_THROWS_AS(facts(with("/spec/containers/1/name", 7)), Error);
  CHECK_THROWS_AS(facts(with("/spec/containers/1/env", "x")), Error);
  CHECK_THROWS_AS(facts(with("/spec/containers/1/env/0/name", 7)), Error);
  CHECK_THROWS_AS(facts(with("/spec/containers/1/env/1/value", Json::object())), Error);
  CHECK_THROWS_AS(facts(with("/spec/containers/1/args/0", Json::array())), Error);
  CHECK_THROWS_AS(facts(with("/spec/containers/1/securityContext/runAsUser", "x")), Error);
  CHECK_THROWS_AS(facts(with("/spec/hostNetwork", "true")), Error);
  CHECK_THROWS_AS(facts(with("/metadata/annotations", Json::array({1}))), Error);
  CHECK_THROWS_AS(facts(with("/metadata/annotations/sluice.dev~1log", true)), Error);
}

TEST_CASE("of a key that stands twice the last value counts") {
  const Json parsed = parse_pod(
      R"({"metadata":{"name":"a","name":"b"},"spec":{"hostNetwork":true},"spec":{"x":1}})");
  CHECK(parsed["metadata"]["name"] == "b");
  CHECK(parsed["spec"] == Json::object());
}

TEST_CASE("text that is no JSON is refused with a place and without its content") {
  for (const std::string text : {"", "{", "{]", "{\"metadata\":{}} x", "{\"secret\":\xff}", "nul",
                                 "[1,]", "\xef\xbb\xbf{}"}) {
    CHECK_THROWS_WITH(parse_pod(text), Contains("not valid JSON") && !Contains("secret"));
  }
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
  for (const char* text : {"{}", "[]", "null", R"({"type":7,"object":7})", R"({"object":[1]})"}) {
    CHECK_NOTHROW(parse_watch_event(text));
  }
  CHECK_THROWS_WITH(parse_watch_event("{"), Contains("an event of the watch"));
}

}  // namespace sluice::agent

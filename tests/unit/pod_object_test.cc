// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/pod_object.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;
using Texts = std::vector<std::string>;

PodObject read(const std::string& text) {
  return read_pod_object(Json::parse(text));
}

Texts addresses(const std::string& status) {
  Texts texts;
  for (const IpAddress& address : read(R"({"kind": "Pod", "status": )" + status + "}").addresses) {
    texts.push_back(to_string(address));
  }
  return texts;
}

TEST_CASE("pod_object: name, namespace, annotations and addresses", "[pod_object]") {
  const PodObject object = read(R"({
      "apiVersion": "v1", "kind": "Pod",
      "metadata": {"name": "web-0", "namespace": "demo", "labels": {"a": "b"},
                   "annotations": {"sidecar.istio.io/status": "{}", "other": 5}},
      "spec": {}, "status": {"podIP": "10.1.0.5",
                             "podIPs": [{"ip": "10.1.0.5"}, {"ip": "fd00::5"}]}})");
  CHECK(object.pod.name == "web-0");
  CHECK(object.pod.name_space == "demo");
  CHECK(object.pod.annotations == Annotations{{"sidecar.istio.io/status", "{}"}});
  CHECK(object.addresses == std::vector{parse_address("10.1.0.5"), parse_address("fd00::5")});
}

TEST_CASE("pod_object: what a template leaves out", "[pod_object]") {
  for (const char* text :
       {R"({"kind": "Pod"})", R"({"kind": "Pod", "metadata": null})",
        R"({"kind": "Pod", "metadata": {"annotations": null}, "status": null})"}) {
    CAPTURE(text);
    const PodObject object = read(text);
    CHECK(object.pod.name == "pod");
    CHECK(object.pod.name_space == "default");
    CHECK(object.pod.in_kubernetes());
    // A manifest says all there is: no annotations are none.
    CHECK(object.pod.annotations == Annotations());
    CHECK(object.addresses.empty());
  }
}

TEST_CASE("pod_object: addresses", "[pod_object]") {
  CHECK(addresses(R"({"podIP": "fd00::5"})") == Texts{"fd00::5"});
  CHECK(addresses(R"({"podIP": "10.1.0.5", "podIPs": []})") == Texts{"10.1.0.5"});
  CHECK(addresses(R"({"podIP": "10.1.0.5", "podIPs": null})") == Texts{"10.1.0.5"});
  CHECK(addresses(R"({"podIP": "10.1.0.5", "podIPs": [{"ip": "fd00::5"}]})") == Texts{"fd00::5"});
  CHECK(addresses("{}").empty());
}

TEST_CASE("pod_object: what is no pod, or of the wrong type", "[pod_object]") {
  CHECK(message_of([] { read(R"({"kind": "Deployment"})"); }) ==
        "the manifest is of kind \"Deployment\", not a Pod");
  for (const char* text : {"{}", "null", "[]", "\"Pod\"", R"({"kind": "pod"})", R"({"kind": 5})"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(read(text), Error);
  }
  for (const char* text :
       {R"({"kind": "Pod", "metadata": {"name": 5}})",
        R"({"kind": "Pod", "metadata": {"namespace": []}})",
        R"({"kind": "Pod", "metadata": {"annotations": "x"}})",
        R"({"kind": "Pod", "metadata": {"annotations": {"sluice.dev/proxy-uid": 5}}})",
        R"({"kind": "Pod", "status": {"podIP": 5}})",
        R"({"kind": "Pod", "status": {"podIP": "x"}})",
        R"({"kind": "Pod", "status": {"podIPs": [{}]}})",
        R"({"kind": "Pod", "status": {"podIPs": ["10.1.0.5"]}})",
        R"({"kind": "Pod", "status": {"podIPs": [{"ip": "10.1.0.5/16"}]}})"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(read(text), Error);
  }
  CHECK_THAT(message_of([] { read(R"({"kind": "Pod", "metadata": {"annotations": []}})"); }),
             Contains("metadata.annotations"));
}

}  // namespace
}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/result.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;
using Texts = std::vector<std::string>;

Request request_with(const std::string& version, const Json& previous) {
  return {.name = "n", .version = version, .config = {{"prevResult", previous}}};
}

Json printed(const std::string& version, const std::string& previous) {
  return previous_result(request_with(version, Json::parse(previous)));
}

TEST_CASE("result: it must be there, and an object", "[result]") {
  const Request without{.name = "n", .version = "1.1.0", .config = Json::object()};
  CHECK(code_thrown_by([&] { previous_result(without); }) == Code::invalid_config);
  CHECK(code_thrown_by([] { printed("1.1.0", "null"); }) == Code::invalid_config);
  for (const char* previous : {"[]", "\"x\"", "5", "true"}) {
    CAPTURE(previous);
    CHECK(code_thrown_by([&] { printed("1.1.0", previous); }) == Code::decoding_failure);
  }
  CHECK(printed("1.1.0", "{}") == Json::parse(R"({"cniVersion": "1.1.0"})"));
}

TEST_CASE("result: within one generation only the label changes", "[result]") {
  const std::vector<std::pair<std::string, std::string>> pairs{
      {"0.1.0", "0.2.0"}, {"0.2.0", "0.1.0"}, {"0.3.0", "0.4.0"}, {"0.4.0", "0.3.1"},
      {"1.0.0", "1.1.0"}, {"1.1.0", "1.0.0"}, {"1.1.0", "1.1.0"}};
  const std::string members = R"(
      "interfaces": [{"name": "eth0", "sandbox": "/x", "mtu": 1500, "x-vendor": {"a": [1]}}],
      "ips": [{"address": "10.1.0.5/16", "interface": 0, "version": "4", "x": null}],
      "routes": [{"dst": "0.0.0.0/0", "table": 0, "scope": 0}],
      "dns": {}, "x-vendor": 1, "ip4": {"ip": "10.1.0.5/16"}})";
  for (const auto& [from, to] : pairs) {
    CAPTURE(from, to);
    Json expected = Json::parse("{" + members);
    expected["cniVersion"] = to;
    CHECK(printed(to, R"({"cniVersion": ")" + from + "\"," + members) == expected);
  }
}

TEST_CASE("result: without a version of its own it has the configuration's", "[result]") {
  for (const char* label : {"", R"("cniVersion": "",)", R"("cniVersion": null,)"}) {
    CAPTURE(label);
    CHECK(printed("1.0.0", "{" + std::string(label) + R"("ips": []})") ==
          Json::parse(R"({"cniVersion": "1.0.0", "ips": []})"));
  }
  // Even under the oldest configuration a plugin may have printed what it knows.
  CHECK(printed("0.2.0", R"({"ips": [{"address": "10.1.0.5/16"}]})") ==
        Json::parse(R"({"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.5/16"}, "dns": {}})"));
  CHECK(printed("0.2.0", R"({"ip4": {"ip": "10.1.0.5/16"}})") ==
        Json::parse(R"({"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.5/16"}})"));
}

TEST_CASE("result: a label of any case is replaced by one of ours", "[result]") {
  CHECK(printed("1.1.0", R"({"CNIVersion": "1.0.0", "CNIVERSION": "1.0.0"})") ==
        Json::parse(R"({"cniVersion": "1.1.0"})"));
}

TEST_CASE("result: another generation is converted", "[result]") {
  CHECK(
      printed("1.1.0",
              R"({"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.1.0.5/16"}]})") ==
      Json::parse(R"({"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.5/16"}]})"));
}

TEST_CASE("result: versions that are not known", "[result]") {
  for (const char* version : {"9.9.9", "1.0", "v1.0.0"}) {
    const std::string previous = R"({"cniVersion": ")" + std::string(version) + "\"}";
    CHECK_THAT(message_of([&] { printed("1.1.0", previous); }), Contains(version));
    CHECK(code_thrown_by([&] { printed("1.1.0", previous); }) == Code::decoding_failure);
  }
  CHECK(code_thrown_by([] { printed("1.1.0", R"({"cniVersion": 1})"); }) == Code::decoding_failure);
}

Texts addresses(const std::string& result) {
  Texts texts;
  for (const IpAddress& address : addresses_of(Json::parse(result), "eth0")) {
    texts.push_back(to_string(address));
  }
  return texts;
}

// The interfaces of all results below: the host has an eth0 too.
std::string with_ips(const std::string& ips) {
  return R"({"interfaces": [{"name": "eth0"}, {"name": "eth0", "sandbox": "/run/netns/x"},
                            {"name": "net1", "sandbox": "/run/netns/x"},
                            {"name": "eth0", "sandbox": ""}, null, 5],
             "ips": )" +
         ips + "}";
}

TEST_CASE("result: the addresses of the pod's interface, in order", "[result]") {
  CHECK(addresses(with_ips(R"([{"address": "fd00::5/64", "interface": 1},
                               {"address": "10.1.0.5/16", "interface": 1}])")) ==
        Texts{"fd00::5", "10.1.0.5"});
  CHECK(addresses(with_ips(R"([{"address": "10.0.0.1/8", "interface": 0},
                               {"address": "10.0.0.2/8", "interface": 1},
                               {"address": "10.0.0.3/8", "interface": 2},
                               {"address": "10.0.0.4/8", "interface": 3},
                               {"address": "10.0.0.5/8", "interface": 4},
                               {"address": "10.0.0.6/8", "interface": 5}])")) == Texts{"10.0.0.2"});
}

TEST_CASE("result: addresses that belong to no listed interface count too", "[result]") {
  for (const char* index : {"", R"(, "interface": null)", R"(, "interface": 6)",
                            R"(, "interface": 600)", R"(, "interface": -1)"}) {
    CAPTURE(index);
    CHECK(addresses(with_ips(R"([{"address": "10.0.0.1/8")" + std::string(index) + "}]")) ==
          Texts{"10.0.0.1"});
  }
  CHECK(addresses(R"({"ips": [{"address": "10.0.0.1/8", "interface": 0}]})") == Texts{"10.0.0.1"});
  CHECK(addresses(R"({"interfaces": null, "ips": [null, {"address": "::2/64"}]})") == Texts{"::2"});
}

TEST_CASE("result: a result without addresses", "[result]") {
  for (const char* result : {"{}", R"({"ips": null})", R"({"ips": []})", R"({"ips": [null]})",
                             R"({"ip4": null})", R"({"interfaces": "x"})"}) {
    CAPTURE(result);
    CHECK(addresses(result).empty());
  }
}

TEST_CASE("result: an index may be spelled as a float, but must be whole", "[result]") {
  CHECK(addresses(with_ips(R"([{"address": "10.0.0.1/8", "interface": 1.0},
                               {"address": "10.0.0.2/8", "interface": 2e0}])")) ==
        Texts{"10.0.0.1"});
  for (const char* index : {"1.5", "\"1\"", "9223372036854775808", "1e300", "true", "[]"}) {
    CAPTURE(index);
    const std::string result =
        with_ips(R"([{"address": "10.0.0.1/8", "interface": )" + std::string(index) + "}]");
    CHECK(code_thrown_by([&] { addresses(result); }) == Code::decoding_failure);
  }
}

TEST_CASE("result: addresses that cannot be read", "[result]") {
  for (const char* ip :
       {R"({"address": "10.1.0.5"})", R"({"address": "10.1.0.5/33"})",
        R"({"address": "010.1.0.5/16"})", R"({"address": "fe80::1%eth0/64"})", R"({"address": ""})",
        R"({"address": 5})", R"({"address": null})", "{}", "5", "\"10.1.0.5/16\"", "[]"}) {
    CAPTURE(ip);
    CHECK(code_thrown_by([&] { addresses(with_ips("[" + std::string(ip) + "]")); }) ==
          Code::decoding_failure);
  }
  for (const char* result :
       {R"({"ips": "x"})", R"({"ips": {}})", R"({"ip4": {}})", R"({"ip6": 5})",
        R"({"ip4": {"ip": "x"}})", R"({"interfaces": 5, "ips": [{"address": "10.0.0.1/8"}]})"}) {
    CAPTURE(result);
    CHECK(code_thrown_by([&] { addresses(result); }) == Code::decoding_failure);
  }
}

TEST_CASE("result: the oldest format has one address of each family", "[result]") {
  CHECK(addresses(R"({"ip6": {"ip": "fd00::5/64"}, "ip4": {"ip": "10.1.0.5/16"}})") ==
        Texts{"10.1.0.5", "fd00::5"});
}

TEST_CASE("result: an error document", "[result]") {
  const std::string text = error_document("1.0.0", Code::drift, "msg", "more");
  CHECK(Json::parse(text) == Json::parse(R"({"cniVersion": "1.0.0", "code": 105, "msg": "msg",
                                             "details": "more"})"));
  CHECK(text.find('\n') == text.size() - 1);
  CHECK_FALSE(Json::parse(error_document("1.0.0", Code::drift, "msg", "")).contains("details"));
}

TEST_CASE("result: a message is under 1 KiB and valid UTF-8, however long it was", "[result]") {
  std::string snowmen;
  for (int i = 0; i < 5000; ++i) snowmen += "\xe2\x98\x83";
  for (const std::string& odd : {std::string(100'000, 'x'), snowmen, "x" + snowmen}) {
    const Json document = Json::parse(error_document("1.0.0", Code::internal, odd, odd));
    CHECK(document.at("msg").get<std::string>().size() < 1024);
    CHECK(document.at("msg").get<std::string>().size() > 500);
  }
}

}  // namespace
}  // namespace sluice::cni

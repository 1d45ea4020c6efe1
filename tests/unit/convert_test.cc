// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/convert.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

using enum ResultFormat;

Json converted(const std::string& result, ResultFormat from, ResultFormat to) {
  return convert_result(Json::parse(result), from, to);
}

constexpr const char* newest = R"({
    "interfaces": [{"name": "eth0", "mac": "aa", "sandbox": "/x", "mtu": 1500,
                    "socketPath": "/s", "pciID": "p", "x-vendor": 1}],
    "ips": [{"address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 0},
            {"address": "fd00::5/64", "interface": 0},
            {"address": "10.2.0.5/16"}],
    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "fd00::1", "mtu": 1400},
               {"dst": "10.9.0.0/16", "gw": "10.1.0.9"}],
    "dns": {"nameservers": ["10.96.0.10"]}})";

TEST_CASE("convert: generations by version", "[convert]") {
  for (const char* version : {"0.1.0", "0.2.0"}) CHECK(format_of(version) == ip4_ip6);
  for (const char* version : {"0.3.0", "0.3.1", "0.4.0"}) CHECK(format_of(version) == typed_ips);
  for (const char* version : {"1.0.0", "1.1.0"}) CHECK(format_of(version) == untyped_ips);
}

TEST_CASE("convert: the same generation stays as it is", "[convert]") {
  for (const ResultFormat format : {ip4_ip6, typed_ips, untyped_ips}) {
    const std::string odd = R"({"ips": "x", "dns": 5, "ip4": [], "other": null})";
    CHECK(converted(odd, format, format) == Json::parse(odd));
  }
}

TEST_CASE("convert: 1.x to 0.3 adds the version of each address", "[convert]") {
  const Json result = converted(newest, untyped_ips, typed_ips);
  CHECK(result.at("ips") ==
        Json::parse(
            R"([{"address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 0, "version": "4"},
                        {"address": "fd00::5/64", "interface": 0, "version": "6"},
                        {"address": "10.2.0.5/16", "version": "4"}])"));
  const Json interface = result.at("interfaces").at(0);
  CHECK(interface.at("mac") == "aa");
  for (const char* later : {"mtu", "socketPath", "pciID"}) CHECK_FALSE(interface.contains(later));
  CHECK(result.at("routes") == Json::parse(newest).at("routes"));
  CHECK(result.at("dns") == Json::parse(newest).at("dns"));
}

TEST_CASE("convert: 0.3 to 1.x drops the version of each address", "[convert]") {
  CHECK(converted(R"({"interfaces": [{"name": "eth0"}], "dns": {},
                      "ips": [{"version": "4", "address": "10.1.0.5/16", "interface": 0}, null]})",
                  typed_ips, untyped_ips) == Json::parse(R"({"interfaces": [{"name": "eth0"}],
                        "ips": [{"address": "10.1.0.5/16", "interface": 0}]})"));
  CHECK(converted(R"({"dns": {"domain": "x"}})", typed_ips, untyped_ips) ==
        Json::parse(R"({"dns": {"domain": "x"}})"));
  CHECK(converted("{}", typed_ips, untyped_ips) == Json::object());
}

TEST_CASE("convert: to the oldest, the first address of each family and its routes", "[convert]") {
  const Json expected = Json::parse(R"({
      "ip4": {"ip": "10.1.0.5/16", "gateway": "10.1.0.1",
              "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.9.0.0/16", "gw": "10.1.0.9"}]},
      "ip6": {"ip": "fd00::5/64", "routes": [{"dst": "::/0", "gw": "fd00::1"}]},
      "dns": {"nameservers": ["10.96.0.10"]}})");
  CHECK(converted(newest, untyped_ips, ip4_ip6) == expected);
  CHECK(converted(newest, typed_ips, ip4_ip6) == expected);
  CHECK(converted(R"({"ips": [{"address": "fd00::5/64"}], "routes": [{"dst": "0.0.0.0/0"}]})",
                  untyped_ips,
                  ip4_ip6) == Json::parse(R"({"ip6": {"ip": "fd00::5/64"}, "dns": {}})"));
}

TEST_CASE("convert: the oldest cannot be without an address", "[convert]") {
  for (const char* result : {"{}", R"({"ips": []})", R"({"ips": [null]})", R"({"ips": null})"}) {
    CAPTURE(result);
    CHECK(code_thrown_by([&] { converted(result, untyped_ips, ip4_ip6); }) ==
          Code::decoding_failure);
  }
}

TEST_CASE("convert: from the oldest", "[convert]") {
  const char* oldest = R"({
      "ip6": {"ip": "fd00::5/64", "routes": [{"dst": "::/0"}]},
      "ip4": {"ip": "10.1.0.5/16", "gateway": "10.1.0.1", "routes": [{"dst": "0.0.0.0/0"}]},
      "dns": {}})";
  CHECK(converted(oldest, ip4_ip6, untyped_ips) ==
        Json::parse(R"({"ips": [{"address": "10.1.0.5/16", "gateway": "10.1.0.1"},
                                {"address": "fd00::5/64"}],
                        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]})"));
  CHECK(converted(oldest, ip4_ip6, typed_ips) ==
        Json::parse(R"({"ips": [{"address": "10.1.0.5/16", "gateway": "10.1.0.1", "version": "4"},
                                {"address": "fd00::5/64", "version": "6"}],
                        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}], "dns": {}})"));
}

TEST_CASE("convert: a way there and back keeps addresses and routes", "[convert]") {
  const Json typed = converted(newest, untyped_ips, typed_ips);
  const Json back = convert_result(typed, typed_ips, untyped_ips);
  CHECK(back.at("ips") == Json::parse(newest).at("ips"));
  CHECK(back.at("routes") == Json::parse(newest).at("routes"));
}

TEST_CASE("convert: members that must be read but cannot", "[convert]") {
  for (const char* result :
       {R"({"ips": "x"})", R"({"ips": [5]})", R"({"ips": [{}]})", R"({"ips": [{"address": 5}]})",
        R"({"ips": [{"address": ""}]})", R"({"ips": [{"address": "10.1.0.5"}]})",
        R"({"ips": [{"address": "010.1.0.5/16"}]})"}) {
    CAPTURE(result);
    CHECK(code_thrown_by([&] { converted(result, untyped_ips, typed_ips); }) ==
          Code::decoding_failure);
    CHECK(code_thrown_by([&] { converted(result, untyped_ips, ip4_ip6); }) ==
          Code::decoding_failure);
  }
  for (const char* result : {R"({"ip4": "x"})", R"({"ip4": {"ip": 5}})",
                             R"({"ip4": {"ip": "10.1.0.5/16", "routes": 5}})"}) {
    CAPTURE(result);
    CHECK(code_thrown_by([&] { converted(result, ip4_ip6, untyped_ips); }) ==
          Code::decoding_failure);
  }
}

}  // namespace
}  // namespace sluice::cni

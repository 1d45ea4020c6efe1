// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/runtime_dns.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cni/pod.h"
#include "rules/parse.h"
#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::StartsWith;

Json with_dns(const std::string& dns) {
  return {{"runtimeConfig", {{"dns", Json::parse(dns)}}}};
}

std::vector<IpAddress> read(const std::string& dns) {
  return runtime_resolvers(with_dns(dns));
}

TEST_CASE("runtime_dns: servers, as containerd and as the convention spell them", "[runtime_dns]") {
  const std::vector<IpAddress> expected = parse_resolvers("10.96.0.10,fd00::10");
  CHECK(read(R"({"Servers": ["10.96.0.10", "fd00::10"], "Searches": ["a"], "Options": ["b"]})") ==
        expected);
  CHECK(read(R"({"servers": ["10.96.0.10", "fd00::10"], "searches": 5})") == expected);
  CHECK(read(R"({"servers": ["10.96.0.10", "fd00::10", "10.96.0.10"]})") == expected);
  CHECK(read(R"({"servers": ["fe80::1%eth0", "::ffff:10.0.0.1"]})") ==
        parse_resolvers("fe80::1,10.0.0.1"));
}

TEST_CASE("runtime_dns: none", "[runtime_dns]") {
  for (const char* none :
       {"null", "{}", R"({"Servers": null})", R"({"servers": []})", R"({"Searches": ["a"]})"}) {
    CAPTURE(none);
    CHECK(read(none).empty());
  }
  CHECK(runtime_resolvers(Json::object()).empty());
  CHECK(runtime_resolvers({{"runtimeConfig", nullptr}}).empty());
  CHECK(runtime_resolvers({{"runtimeConfig", 5}}).empty());
}

TEST_CASE("runtime_dns: what cannot be read is named", "[runtime_dns]") {
  const std::string where = "key \"runtimeConfig\": dns";
  const std::vector<std::pair<std::string, std::string>> bad{
      {"5", " is not an object"},
      {R"(["10.96.0.10"])", " is not an object"},
      {R"({"servers": "10.96.0.10"})", ".servers is not an array"},
      {R"({"servers": {}})", ".servers is not an array"},
      {R"({"servers": [5]})", ".servers: \"5\" is not a string"},
      {R"({"servers": [null]})", ".servers: \"null\" is not a string"},
      {R"({"servers": ["10.96.0.10", "dns"]})", ".servers: \"dns\" is not an IP address"},
      {R"({"servers": [""]})", ".servers: \"\" is not an IP address"},
      {R"({"servers": ["10.96.0.10,10.96.0.11"]})", ".servers: "},
  };
  for (const auto& [dns, reason] : bad) {
    CAPTURE(dns);
    CHECK_THAT(message_of([&, d = dns] { read(d); }), StartsWith(where + reason));
  }
  Json many = Json::array();
  for (std::size_t i = 0; i < server_limit; ++i) many.push_back("10.0.0.1");
  CHECK(read(Json{{"servers", many}}.dump()).size() == 1);
  many.push_back("10.0.0.1");
  CHECK(message_of([&] {
          read(Json{{"servers", many}}.dump());
        }) == where + ".servers has more than 64 elements");
}

// A pod of the mesh that says how its DNS is to be captured.
Pod pod_with(const Json& network, const char* capture) {
  Pod pod = read_pod({{"K8S_POD_NAMESPACE", "demo"}, {"K8S_POD_NAME", "web-0"}}, network);
  pod.annotations = Annotations{{"sidecar.istio.io/status", ""}};
  if (capture != nullptr) pod.annotations->emplace("sluice.dev/dns-capture", capture);
  return pod;
}

TEST_CASE("decide: the runtime's resolvers count before the configured ones", "[decide]") {
  PluginConfig config;
  config.defaults.dns_capture = DnsCapture::resolvers;
  config.defaults.resolvers = parse_resolvers("10.0.0.1");
  CHECK(decide(config, pod_with({}, nullptr)).config.resolvers == parse_resolvers("10.0.0.1"));
  const Pod pod = pod_with(with_dns(R"({"Servers": ["10.96.0.10"]})"), nullptr);
  CHECK(decide(config, pod).config.resolvers == parse_resolvers("10.96.0.10"));
  const auto flag = [](RedirectConfig& c) { c.resolvers = parse_resolvers("10.0.0.3"); };
  CHECK(decide(config, pod, flag).config.resolvers == parse_resolvers("10.0.0.3"));
}

TEST_CASE("decide: unknown resolvers harm those pods alone that need them", "[decide]") {
  for (const char* dns : {"null", "5", R"({"Servers": ["x"]})"}) {
    CAPTURE(dns);
    const Json network = with_dns(dns);
    for (const char* harmless : {"all", "off"}) {
      CHECK(decide({}, pod_with(network, harmless)).redirect);
    }
    const Error error = thrown_by([&] { decide({}, pod_with(network, "resolvers")); });
    CHECK(code_of(error) == Code::invalid_config);
    CHECK_THAT(error.what(), StartsWith("dnsCapture \"resolvers\": "));
    Pod passed = pod_with(network, "resolvers");
    passed.annotations->emplace("sidecar.istio.io/inject", "false");
    CHECK_FALSE(decide({}, passed).redirect);
    passed = pod_with(network, "resolvers");
    passed.annotations->emplace("sidecar.istio.io/interceptionMode", "NONE");
    CHECK_FALSE(decide({}, passed).redirect);
  }
}

TEST_CASE("decide: settings that contradict each other are refused", "[decide]") {
  Pod pod = pod_with({}, nullptr);
  pod.annotations->emplace("sluice.dev/include-owner-groups", "5");
  PluginConfig config;
  config.defaults.exclude_owner_groups = {6};
  CHECK(code_thrown_by([&] { decide(config, pod); }) == Code::invalid_config);
  CHECK(decide(config, pod, [](RedirectConfig& c) { c.exclude_owner_groups.clear(); }).redirect);
  // What is passed is not asked.
  CHECK_FALSE(
      decide(config, pod, [](RedirectConfig& c) { c.mode = InterceptionMode::none; }).redirect);
}

}  // namespace
}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/config.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cni/settings.h"
#include "rules/text.h"
#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using Texts = std::vector<std::string>;
using Ids = std::vector<std::uint32_t>;

PluginConfig read(const std::string& text) {
  PluginConfig config = read_plugin_config(Json::parse(text));
  CAPTURE(text, config.problems);
  CHECK(config.problems.empty());
  return config;
}

Texts problems(const std::string& text) {
  return read_plugin_config(Json::parse(text)).problems;
}

std::string rules(const RedirectConfig& config) {
  return to_save(redirect_ruleset(config, Family::ipv4));
}

TEST_CASE("config: defaults", "[config]") {
  const PluginConfig config = read("{}");
  CHECK(rules(config.defaults) == rules({}));
  CHECK(config.defaults.ipv6 == Ipv6Policy::automatic);
  CHECK_FALSE(config.defaults.dual_stack);
  CHECK(config.namespaces.empty());
  CHECK(config.exclude_namespaces.empty());
  CHECK_FALSE(config.redirect_all);
  CHECK_FALSE(config.pass_missing_annotations);
  CHECK(config.log_level == LogLevel::info);
  CHECK(config.unknown_keys.empty());
}

TEST_CASE("config: each setting by its key", "[config]") {
  const RedirectConfig config =
      read(R"({"layout": "istio-1.6", "interceptionMode": "NONE", "ipv6": "block",
               "dualStack": true, "proxyPort": 1, "inboundCapturePort": 2, "inboundTunnelPort": 3,
               "proxyUid": 4, "proxyGid": [5, 6], "includeInboundPorts": "7",
               "excludeInboundPorts": "8", "includeOutboundPorts": "9",
               "excludeOutboundPorts": "10", "includeOutboundCidrs": "10.0.0.0/8",
               "excludeOutboundCidrs": "fd00::/8", "excludeInterfaces": "net1"})")
          .defaults;
  CHECK(config.layout == find_layout("istio-1.6"));
  CHECK(config.mode == InterceptionMode::none);
  CHECK(config.ipv6 == Ipv6Policy::block);
  CHECK(config.dual_stack);
  CHECK(config.proxy_port == 1);
  CHECK(config.inbound_capture_port == 2);
  CHECK(config.inbound_tunnel_port == 3);
  CHECK(config.proxy_uids == Ids{4});
  CHECK(config.proxy_gids == Ids{5, 6});
  CHECK(config.include_inbound_ports.list == std::vector{PortRange{7, 7}});
  CHECK(config.exclude_inbound_ports == std::vector{PortRange{8, 8}});
  CHECK(config.include_outbound_ports == std::vector{PortRange{9, 9}});
  CHECK(config.exclude_outbound_ports == std::vector{PortRange{10, 10}});
  CHECK(config.include_outbound_cidrs.list == std::vector{parse_cidr("10.0.0.0/8")});
  CHECK(config.exclude_outbound_cidrs == std::vector{parse_cidr("fd00::/8")});
  CHECK(config.exclude_interfaces == Texts{"net1"});
}

TEST_CASE("config: switches", "[config]") {
  CHECK(read(R"({"redirect": "all"})").redirect_all);
  CHECK_FALSE(read(R"({"redirect": "injected"})").redirect_all);
  CHECK(read(R"({"onMissingAnnotations": "pass"})").pass_missing_annotations);
  CHECK_FALSE(read(R"({"onMissingAnnotations": "fail"})").pass_missing_annotations);
}

TEST_CASE("config: the backend", "[config]") {
  CHECK(read("{}").backend == BackendSettings{});
  CHECK(read(R"({"backend": "auto"})").backend.choice == BackendChoice::automatic);
  CHECK(read(R"({"backend": "xtables"})").backend.choice == BackendChoice::xtables);
  const PluginConfig config = read(R"({"backend": "nftables", "nftTable": "mesh_1.a-b"})");
  CHECK(config.backend ==
        BackendSettings{.choice = BackendChoice::nftables, .nft_table = "mesh_1.a-b"});
  CHECK(config.unknown_keys.empty());
  CHECK(read(Json{{"nftTable", std::string(31, 'x')}}.dump()).backend.nft_table.size() == 31);
}

TEST_CASE("config: what is wrong with the backend", "[config]") {
  for (const Json& name :
       {Json(""), Json(5), Json(), Json("1mesh"), Json("a b"), Json("a;b"), Json("a\n"),
        Json("\xc3\xa4"), Json(std::string("a\0b", 3)), Json(std::string(32, 'x'))}) {
    const PluginConfig config = read_plugin_config({{"nftTable", name}});
    CAPTURE(to_line(name));
    CHECK(config.backend.nft_table == "sluice");
    REQUIRE(config.problems.size() == 1);
    CHECK_THAT(config.problems.front(), StartsWith("key \"nftTable\": "));
  }
}

TEST_CASE("config: what a call may take", "[config]") {
  CHECK(read("{}").deadline == std::chrono::milliseconds(20000));
  CHECK(read(R"({"deadlineMs": 1000})").deadline == std::chrono::milliseconds(1000));
  CHECK(read(R"({"deadlineMs": 120000})").deadline == std::chrono::milliseconds(120000));
  CHECK(read(R"({"deadlineMs": 1000})").unknown_keys.empty());
  for (const Json& value : {Json(999), Json(120001), Json(-1), Json(0), Json("1000"), Json(1.5),
                            Json(1e300), Json(true)}) {
    const PluginConfig config = read_plugin_config({{"deadlineMs", value}});
    CAPTURE(to_line(value));
    CHECK(config.deadline == default_deadline);
    REQUIRE(config.problems.size() == 1);
    CHECK_THAT(config.problems.front(), StartsWith("key \"deadlineMs\": "));
  }
}

TEST_CASE("config: the agent", "[config]") {
  const PluginConfig absent = read("{}");
  CHECK(absent.agent_socket.empty());
  CHECK(absent.agent_absent == AgentAbsent::wait);
  CHECK(absent.agent_timeout == std::chrono::milliseconds(2000));
  CHECK(absent.agent_daemon_set.name.empty());
  const PluginConfig config = read(R"({"agentSocket": "/run/sluice/agent.sock",
      "agentAbsent": "annotations", "agentTimeoutMs": 10000,
      "agentDaemonSet": "sluice-system/sluice-agent"})");
  CHECK(config.agent_socket == "/run/sluice/agent.sock");
  CHECK(config.agent_absent == AgentAbsent::annotations);
  CHECK(config.agent_timeout == std::chrono::milliseconds(10000));
  CHECK(config.agent_daemon_set.name_space == "sluice-system");
  CHECK(config.agent_daemon_set.name == "sluice-agent");
  CHECK(config.unknown_keys.empty());
  const Json longest{{"agentSocket", "/" + std::string(socket_path_limit - 1, 'x')}};
  CHECK(read(longest.dump()).agent_socket.size() == socket_path_limit);
  CHECK(read(R"({"agentTimeoutMs": 1})").agent_timeout == std::chrono::milliseconds(1));
}

TEST_CASE("config: what is wrong with the agent", "[config]") {
  const auto refused = [](const char* key, const Json& value) {
    const PluginConfig config = read_plugin_config({{key, value}});
    CAPTURE(key, to_line(value), config.problems);
    CHECK(config.agent_socket.empty());
    CHECK(config.agent_timeout == std::chrono::milliseconds(2000));
    CHECK(config.agent_daemon_set.name.empty());
    REQUIRE(config.problems.size() == 1);
    CHECK_THAT(config.problems.front(), StartsWith(std::string("key \"") + key + "\": "));
  };
  for (const Json& value :
       {Json(""), Json("run/agent.sock"), Json("@abstract"), Json(5), Json(),
        Json("/" + std::string(socket_path_limit, 'x')), Json(std::string("/a\0b", 4))}) {
    refused("agentSocket", value);
  }
  for (const Json& value : {Json(0), Json(-1), Json(10001), Json("5"), Json(1.5), Json(1e300)}) {
    refused("agentTimeoutMs", value);
  }
  for (const Json& value : {Json("x"), Json("/x"), Json("x/"), Json("a/b/c"), Json("A/b"),
                            Json("a/b c"), Json(""), Json("a//b"), Json(true)}) {
    refused("agentDaemonSet", value);
  }
  refused("agentAbsent", "fail");
  refused("agentAbsent", false);
}

TEST_CASE("config: numbers may arrive as floats", "[config]") {
  CHECK(read(R"({"proxyPort": 16001.0})").defaults.proxy_port == 16001);
  CHECK(read(R"({"proxyUid": 1.00061e9})").defaults.proxy_uids == Ids{1000610000});
  CHECK(read(R"({"proxyUid": [1.0, 2]})").defaults.proxy_uids == Ids{1, 2});
}

TEST_CASE("config: namespaces have UIDs of their own", "[config]") {
  const auto namespaces =
      read(R"({"namespaces": {"a": {"proxyUid": 5, "proxyGid": [6, 7]}, "b": {"proxyGid": 8},
                              "c": {}}})")
          .namespaces;
  REQUIRE(namespaces.size() == 3);
  CHECK(namespaces.at("a").uids == Ids{5});
  CHECK(namespaces.at("a").gids == Ids{6, 7});
  CHECK(namespaces.at("b").uids.empty());
  CHECK(namespaces.at("b").gids == Ids{8});
  CHECK(namespaces.at("c").gids.empty());
}

TEST_CASE("config: keys of istio-cni are understood, ours win", "[config]") {
  CHECK(read(R"({"exclude_namespaces": ["a", "b"]})").exclude_namespaces == Texts{"a", "b"});
  CHECK(read(R"({"exclude_namespaces": ["a"], "excludeNamespaces": ["b"]})").exclude_namespaces ==
        Texts{"b"});
  CHECK(read(R"({"plugin_log_level": "debug"})").log_level == LogLevel::debug);
  CHECK(read(R"({"plugin_log_level": "debug", "logLevel": "warn"})").log_level == LogLevel::warn);
}

TEST_CASE("config: log levels", "[config]") {
  const std::vector<std::pair<std::string, LogLevel>> levels{
      {"none", LogLevel::none}, {"fatal", LogLevel::error}, {"error", LogLevel::error},
      {"warn", LogLevel::warn}, {"info", LogLevel::info},   {"debug", LogLevel::debug}};
  for (const auto& [name, level] : levels) {
    CAPTURE(name);
    CHECK(read(R"({"logLevel": ")" + name + "\"}").log_level == level);
  }
  CHECK(to_string(LogLevel::none) == std::string("none"));
  CHECK(to_string(LogLevel::debug) == std::string("debug"));
  CHECK(LogLevel::none < LogLevel::error);
  CHECK(LogLevel::warn < LogLevel::info);
}

TEST_CASE("config: keys may be spelled in any case", "[config]") {
  const PluginConfig config = read(R"({"PROXYPORT": 5, "excludenamespaces": ["a"]})");
  CHECK(config.defaults.proxy_port == 5);
  CHECK(config.exclude_namespaces == Texts{"a"});
  CHECK(config.unknown_keys.empty());
}

TEST_CASE("config: what is wrong is one sentence for each key, naming key and value", "[config]") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"({"proxyPort": 0})", R"(key "proxyPort": port "0" is below 1)"},
      {R"({"proxyPort": 65536})", R"(key "proxyPort": port "65536" is above 65535)"},
      {R"({"proxyPort": -1})", R"(key "proxyPort": port "-1")"},
      {R"({"proxyPort": 1.5})", R"(key "proxyPort": "1.5" is not a whole number)"},
      {R"({"proxyPort": 1e25})", R"(key "proxyPort": "1e+25" is not a whole number)"},
      {R"({"proxyPort": "15001"})", R"(key "proxyPort": "15001" is not a whole number)"},
      {R"({"proxyPort": [1]})", R"(key "proxyPort": "[1]" is not a whole number)"},
      {R"({"proxyPort": null})", R"(key "proxyPort": null is not a value)"},
      {R"({"proxyUid": 4294967295})", R"(key "proxyUid": UID "4294967295" is above 4294967294)"},
      {R"({"proxyUid": 18446744073709551615})", R"(key "proxyUid": UID "18446744073709551615")"},
      {R"({"proxyUid": []})", R"(key "proxyUid": no UID is given)"},
      {R"({"proxyGid": "1337"})", R"(key "proxyGid": "1337" is not a whole number)"},
      {R"({"proxyGid": [1, "2"]})", R"(key "proxyGid": "2" is not a whole number)"},
      {R"({"dualStack": "true"})", R"(key "dualStack": "true" is not true or false)"},
      {R"({"dualStack": 1})", R"(key "dualStack": "1" is not true or false)"},
      {R"({"excludeInboundPorts": 80})", R"(key "excludeInboundPorts": "80" is not a string)"},
      {R"({"excludeInboundPorts": [80]})", R"(key "excludeInboundPorts": "[80]" is not a string)"},
      {R"({"excludeInboundPorts": "*"})", R"(key "excludeInboundPorts": "*" has no meaning here)"},
      {R"({"layout": "x"})", R"(key "layout": "x" is not istio)"},
      {R"({"ipv6": true})", R"(key "ipv6": "true" is not a string)"},
      {R"({"interceptionMode": "tproxy"})", R"(key "interceptionMode": "tproxy" is not REDIRECT)"},
      {R"({"tproxyMark": 0})", R"(key "tproxyMark": mark "0" is below 1)"},
      {R"({"tproxyMark": 1338})", R"(key "tproxyMark": mark "1338" is that of the sidecar's own)"},
      {R"({"tproxyMark": true})", R"(key "tproxyMark": "true" is not a whole number)"},
      {R"({"tproxyMark": "0x"})", R"(key "tproxyMark": mark "0x" is not a hexadecimal number)"},
      {R"({"tproxyTable": 254})", R"(key "tproxyTable": routing table "254" is one of)"},
      {R"({"dnsCapture": true})", R"(key "dnsCapture": "true" is not a string)"},
      {R"({"dnsResolvers": "dns.example"})", R"(key "dnsResolvers": "dns.example" is not an IP)"},
      {R"({"dnsPort": 0})", R"(key "dnsPort": port "0" is below 1)"},
      {R"({"dropInvalid": "true"})", R"(key "dropInvalid": "true" is not true or false)"},
      {R"({"log": 1})", R"(key "log": "1" is not true or false)"},
      {R"({"ipv4LoopbackCidr": "10.0.0.0/8"})", R"(key "ipv4LoopbackCidr": "10.0.0.0/8" is not)"},
      {R"({"virtualInterfaces": "eth+"})", R"(key "virtualInterfaces": interface "eth+")"},
      {R"({"includeOwnerGroups": "staff"})", R"(key "includeOwnerGroups": group "staff" is not)"},
      {R"({"excludeOwnerGroups": "*"})", R"(key "excludeOwnerGroups": "*" has no meaning here)"},
      {R"({"excludeOutboundForUids": "1000"})",
       R"(key "excludeOutboundForUids": exclusion "1000": it is not of the form)"},
      {R"({"excludeInboundCidrs": "*"})", R"(key "excludeInboundCidrs": "*" has no meaning here)"},
      {R"({"redirect": "some"})", R"(key "redirect": "some" is not injected or all)"},
      {R"({"onMissingAnnotations": 5})", R"(key "onMissingAnnotations": "5" is not a string)"},
      {R"({"backend": "nft"})", R"(key "backend": "nft" is not auto, xtables or nftables)"},
      {R"({"excludeNamespaces": "a"})",
       R"(key "excludeNamespaces": "a" is not an array of strings)"},
      {R"({"excludeNamespaces": [5]})", R"(key "excludeNamespaces": "5" is not a string)"},
      {R"({"logLevel": "loud"})", R"(key "logLevel": "loud" is not none, error)"},
      {R"({"namespaces": []})", R"(key "namespaces": "[]" is not an object)"},
      {R"({"namespaces": {"a": 5}})", R"(key "namespaces": namespace "a": "5" is not an object)"},
      {R"({"namespaces": {"a": {"proxyUid": "x"}}})",
       R"(key "namespaces": namespace "a": "x" is not a whole number)"},
      {R"({"namespaces": {"a": {"proxyUid": []}}})",
       R"(key "namespaces": namespace "a": no UID is given)"},
      {R"({"namespaces": {"a": {"proxyGid": null}}})",
       R"(key "namespaces": namespace "a": "null" is not a whole number)"},
  };
  for (const auto& [text, problem] : cases) {
    CAPTURE(text);
    const Texts found = problems(text);
    REQUIRE(found.size() == 1);
    CHECK_THAT(found.front(), StartsWith(problem));
  }
}

TEST_CASE("config: keys that contradict each other are told before a pod comes", "[config]") {
  CHECK(problems(R"({"proxyPort": 5, "inboundCapturePort": 5})") ==
        Texts{"proxyPort and inboundCapturePort are both 5"});
  CHECK(problems(R"({"includeOwnerGroups": "1", "excludeOwnerGroups": "2"})").size() == 1);
  // The runtime may know them.
  CHECK(problems(R"({"dnsCapture": "resolvers"})").empty());
  CHECK(problems(R"({"dnsCapture": "resolvers", "dnsPort": 15001})").size() == 1);
  // Not beside mistakes that may be the cause.
  CHECK(problems(R"({"proxyPort": 15006, "inboundCapturePort": 0})").size() == 1);
}

TEST_CASE("config: a key that is wrong keeps its default, the others count", "[config]") {
  const PluginConfig config = read_plugin_config(Json::parse(
      R"({"proxyPort": 0, "proxyUid": "x", "layout": "x", "inboundCapturePort": 5,
          "excludeInboundPorts": "80,http"})"));
  CHECK(config.problems.size() == 4);
  CHECK(config.defaults.proxy_port == 15001);
  CHECK(config.defaults.proxy_uids == Ids{1337});
  CHECK(config.defaults.layout == find_layout("istio"));
  CHECK(config.defaults.inbound_capture_port == 5);
  CHECK_FALSE(config.defaults.exclude_inbound_ports.has_value());
}

TEST_CASE("config: keys that are nobody's are named, those of others are not", "[config]") {
  const PluginConfig config = read(R"({
      "cniVersion": "1.1.0", "name": "n", "type": "sluice-cni", "capabilities": {}, "args": 5,
      "ipam": "x", "dns": 5, "runtimeConfig": 5, "prevResult": 5, "cni.dev/attachments": 5,
      "cni.dev/valid-attachments": 5, "kubernetes": {}, "cni_agent_run_dir": "/x",
      "ambient_enabled": false, "plugin_log_level": "info", "disableCheck": true,
      "proxy-port": 1, "excludeInboundPort": "80", "Namespace": {}})");
  CHECK(config.unknown_keys == Texts{"Namespace", "excludeInboundPort", "proxy-port"});
}

TEST_CASE("config: whatever the values are, reading does not throw", "[config]") {
  const Json object = Json::parse(R"({"a": {"b": []}})");
  for (const Json& value : {Json(), Json(true), Json(-1), Json(1e300), Json(""), Json("\xff\n"),
                            Json::array(), Json::array({Json()}), Json::object(), object}) {
    Json network = Json::object();
    for (const Setting& setting : settings()) network[setting.key] = value;
    for (const char* key :
         {"namespaces", "excludeNamespaces", "exclude_namespaces", "redirect",
          "onMissingAnnotations", "logLevel", "plugin_log_level", "backend", "nftTable",
          "agentSocket", "agentAbsent", "agentTimeoutMs", "agentDaemonSet", "deadlineMs"}) {
      network[key] = value;
    }
    CAPTURE(to_line(network));
    CHECK_NOTHROW(read_plugin_config(network));
    for (const std::string& problem : read_plugin_config(network).problems) {
      CHECK_THAT(problem, StartsWith("key \""));
      CHECK_THAT(problem, !Contains("\n"));
    }
  }
}

}  // namespace
}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <cerrno>
#include <exception>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "rules/diff.h"
#include "rules/redirect.h"
#include "rules/text.h"
#include "tests/unit/plugin_run.h"
#include "tests/unit/tables.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;
using Texts = std::vector<std::string>;

Interception wanted_for(const RedirectConfig& config, const std::vector<const char*>& addresses) {
  PodNetwork network;
  for (const char* address : addresses) network.addresses.push_back(parse_address(address));
  return interception(config, network);
}

TEST_CASE("add: an injected pod is redirected and the previous result printed", "[add]") {
  PluginRun plugin;
  const Outcome outcome = plugin("ADD");
  CHECK(outcome.exit_status == 0);
  CHECK(outcome.out == to_line(plugin.network["prevResult"]) + "\n");
  CHECK(plugin.opened == Texts{"/run/netns/pod"});
  CHECK(diff(wanted_for({}, {"10.244.0.5"}), plugin.pod.backend.read()).empty());
  CHECK(logged(outcome, LogLevel::info) ==
        Texts{"pod \"demo/web-0\" is redirected: it is injected; through fake: it is made up"});
  CHECK(logged(outcome, LogLevel::warn).empty());
}

TEST_CASE("add: the backend is asked for as configured", "[add]") {
  PluginRun plugin;
  plugin.network["backend"] = "nftables";
  plugin.network["nftTable"] = "mesh";
  CHECK(plugin("ADD").exit_status == 0);
  const BackendSettings asked{.choice = BackendChoice::nftables, .nft_table = "mesh"};
  REQUIRE_FALSE(plugin.pod.settings.empty());
  for (const BackendSettings& settings : plugin.pod.settings) CHECK(settings == asked);
}

TEST_CASE("add: a kernel that offers no backend is an error of its own", "[add]") {
  PluginRun plugin;
  plugin.pod.no_backend = Error(std::make_error_code(std::errc::not_supported),
                                "the kernel offers neither x_tables nor nf_tables");
  const Outcome outcome = plugin("ADD");
  CHECK(code_in(outcome) == Code::kernel_unsupported);
  CHECK_THAT(outcome.out, Contains("the kernel offers neither"));
  CHECK_FALSE(plugin.is_redirected());
}

TEST_CASE("add: what only a pod of ours is refused for", "[add]") {
  PluginRun plugin;
  SECTION("YAML that cannot be read") {
    plugin.annotate("proxy.istio.io/config", "a: &a [*a]");
  }
  SECTION("a mode that there is not") {
    plugin.annotate("proxy.istio.io/config", "interceptionMode: X");
  }
  SECTION("resolvers that nobody knows") {
    plugin.annotate("sluice.dev/dns-capture", "resolvers");
  }
  SECTION("resolvers that cannot be read") {
    plugin.annotate("sluice.dev/dns-capture", "resolvers");
    plugin.network["runtimeConfig"]["dns"] = {{"Servers", 5}};
  }
  SECTION("two lists of groups") {
    plugin.annotate("sluice.dev/include-owner-groups", "1");
    plugin.annotate("sluice.dev/exclude-owner-groups", "2");
  }
  const Outcome outcome = plugin("ADD");
  CHECK(code_in(outcome) == Code::invalid_config);
  CHECK(plugin.opened.empty());
  CHECK(code_in(plugin("CHECK")) == Code::invalid_config);
  CHECK(plugin("DEL").exit_status == 0);
  plugin.annotate("sidecar.istio.io/inject", "false");
  CHECK(plugin("ADD").exit_status == 0);
  CHECK_FALSE(plugin.is_redirected());
}

TEST_CASE("add: a pod that is not ours is not even looked into", "[add]") {
  PluginRun plugin;
  SECTION("not injected") {
    plugin.annotations() = Json::object();
  }
  SECTION("an empty list of annotations") {
    plugin.annotations() = nullptr;
  }
  SECTION("switched off") {
    plugin.annotate("sidecar.istio.io/inject", "false");
  }
  SECTION("excluded") {
    plugin.network["excludeNamespaces"] = {"demo"};
  }
  SECTION("not of Kubernetes") {
    plugin.environment["CNI_ARGS"] = "K8S_POD_NAME=web-0";
  }
  SECTION("mode NONE, in the proxy's configuration") {
    plugin.annotate("proxy.istio.io/config", "interceptionMode: NONE");
  }
  SECTION("no sidecar, in the proxy's configuration") {
    plugin.annotate("proxy.istio.io/config", "proxyMetadata: {DISABLE_ENVOY: 'true'}");
  }
  SECTION("mode NONE") {
    plugin.annotate("sidecar.istio.io/interceptionMode", "NONE");
  }
  const Outcome outcome = plugin("ADD");
  CHECK(outcome.exit_status == 0);
  CHECK(Json::parse(outcome.out) == plugin.network["prevResult"]);
  CHECK(plugin.opened.empty());
  REQUIRE(logged(outcome, LogLevel::info).size() == 1);
  CHECK_THAT(logged(outcome, LogLevel::info).front(), Contains(" is not redirected: "));
}

TEST_CASE("add: annotations and namespace shape the rules", "[add]") {
  PluginRun plugin;
  plugin.network["namespaces"] = {{"demo", {{"proxyUid", 5}}}};
  plugin.annotate("traffic.sidecar.istio.io/excludeInboundPorts", "8080");
  plugin("ADD");
  RedirectConfig config;
  config.proxy_uids = {5};
  config.exclude_inbound_ports = {{8080, 8080}};
  CHECK(diff(wanted_for(config, {"10.244.0.5"}), plugin.pod.backend.read()).empty());
}

TEST_CASE("add: addresses come from the result and from the interface", "[add]") {
  PluginRun plugin;
  const Interception both = wanted_for({.dual_stack = true}, {"10.244.0.5", "fd00::5"});
  plugin.network["dualStack"] = true;
  SECTION("of the result") {
    plugin.add_address("fd00::5/64");
  }
  SECTION("of the interface") {
    plugin.pod.links[1].addresses.push_back(parse_address("fd00::5"));
  }
  CHECK(plugin("ADD").exit_status == 0);
  CHECK(diff(both, plugin.pod.backend.read()).empty());
  CHECK(plugin.pod.backend.live.loopback_addresses.size() == 1);
}

TEST_CASE("add: the result's first address decides, the interface's come behind", "[add]") {
  PluginRun plugin;
  plugin.network["prevResult"]["ips"] = {{{"address", "fd00::5/64"}, {"interface", 1}}};
  CHECK(plugin("ADD").exit_status == 0);
  CHECK(plugin.owned_rulesets().size() == 2);
}

TEST_CASE("add: IPv6 that is not captured is named", "[add]") {
  PluginRun plugin;
  plugin.add_address("fd00::5/64");
  plugin.pod.links[1].addresses.push_back(parse_address("fe80::1"));
  plugin.pod.links[1].addresses.push_back(parse_address("2001:db8::5"));
  const Outcome outcome = plugin("ADD");
  CHECK(outcome.exit_status == 0);
  const Texts warnings = logged(outcome, LogLevel::warn);
  REQUIRE(warnings.size() == 2);
  CHECK_THAT(warnings[0], Contains("pod \"demo/web-0\"") && Contains("fd00::5 is not redirected"));
  CHECK_THAT(warnings[1], Contains("2001:db8::5 is not redirected"));
}

TEST_CASE("add: a pod that has no address yet is named where that decides", "[add]") {
  PluginRun plugin;
  plugin.network["prevResult"].erase("ips");
  plugin.pod.links[1].addresses = {parse_address("fe80::1")};
  SECTION("by default") {
    const Texts warnings = logged(plugin("ADD"), LogLevel::warn);
    REQUIRE(warnings.size() == 1);
    CHECK_THAT(warnings.front(), Contains("pod \"demo/web-0\" has no address yet"));
  }
  SECTION("in a mesh of both families") {
    plugin.network["dualStack"] = true;
  }
  SECTION("where IPv6 is redirected anyhow") {
    plugin.network["ipv6"] = "always";
  }
  SECTION("where IPv6 is blocked") {
    plugin.network["ipv6"] = "block";
  }
  if (plugin.opened.empty()) CHECK(logged(plugin("ADD"), LogLevel::warn).empty());
}

TEST_CASE("add: a second network does not undo what the first decided for IPv6", "[add]") {
  PluginRun plugin;
  plugin.network["prevResult"]["ips"] = {{{"address", "fd00::5/64"}, {"interface", 1}}};
  REQUIRE(plugin("ADD").exit_status == 0);
  const std::vector<Ruleset> both = plugin.owned_rulesets();
  REQUIRE(both.size() == 2);
  plugin.pod.links.push_back({.name = "net1", .up = true});
  plugin.environment["CNI_IFNAME"] = "net1";
  plugin.network["prevResult"] = Json::parse(R"({"ips": [{"address": "10.9.0.5/24"}]})");
  CHECK(plugin("ADD").exit_status == 0);
  CHECK(plugin.owned_rulesets() == both);
  CHECK(plugin("CHECK").exit_status == 0);
}

TEST_CASE("add: foreign rules stay, an earlier configuration of ours goes", "[add]") {
  PluginRun plugin;
  const TableRules foreign =
      table_with({"-A PREROUTING -i eth9 -j RETURN", "-A OUTPUT -j DOCKER", "-A DOCKER -j RETURN"},
                 {"DOCKER"});
  plugin.pod.backend.live.rulesets = {ruleset_with(foreign)};
  plugin.annotate("traffic.sidecar.istio.io/excludeInterfaces", "net1,net2");
  CHECK(plugin("ADD").exit_status == 0);
  plugin.annotate("traffic.sidecar.istio.io/excludeInterfaces", "net3");
  CHECK(plugin("ADD").exit_status == 0);
  RedirectConfig config;
  config.exclude_interfaces = {"net3"};
  CHECK(diff(wanted_for(config, {"10.244.0.5"}), plugin.pod.backend.read()).empty());
  plugin.pod.backend.remove();
  CHECK(plugin.pod.backend.live.rulesets == std::vector{ruleset_with(foreign)});
}

TEST_CASE("add: what the backend has to say is logged", "[add]") {
  PluginRun plugin;
  plugin.pod.backend.notices = {"went on without the lock"};
  const Outcome outcome = plugin("ADD");
  CHECK(outcome.exit_status == 0);
  CHECK(logged(outcome, LogLevel::warn) == Texts{"pod \"demo/web-0\": went on without the lock"});
}

TEST_CASE("add: a kernel without ip6tables", "[add]") {
  PluginRun plugin;
  plugin.pod.backend.has_ipv6_tables = false;
  plugin.network["ipv6"] = "always";
  const Outcome without_address = plugin("ADD");
  CHECK(without_address.exit_status == 0);
  CHECK(plugin.owned_rulesets().size() == 1);
  CHECK(logged(without_address, LogLevel::warn).size() == 1);
  plugin.add_address("fd00::5/64");
  CHECK(code_in(plugin("ADD")) == Code::kernel_unsupported);
}

TEST_CASE("add: CNI_NETNS that is no namespace", "[add]") {
  PluginRun plugin;
  plugin.not_netns = NotNetns{.reason = "is not a network namespace"};
  const Outcome outcome = plugin("ADD");
  CHECK(code_in(outcome) == Code::invalid_environment);
  CHECK(message_in(outcome) == "CNI_NETNS \"/run/netns/pod\" is not a network namespace");
  plugin.not_netns = NotNetns{.absent = true, .reason = "does not exist"};
  CHECK(message_in(plugin("ADD")) == "CNI_NETNS \"/run/netns/pod\" does not exist");
}

TEST_CASE("add: the plugin's own namespace is refused before anything is done", "[add]") {
  PluginRun plugin;
  plugin.pod.own = true;
  const Outcome outcome = plugin("ADD");
  CHECK(code_in(outcome) == Code::invalid_environment);
  CHECK_THAT(message_in(outcome), Contains("CNI_NETNS") && Contains("namespace of the plugin"));
  CHECK_FALSE(plugin.pod.calls.has("apply"));
  for (const char* no : {"0", "yes", ""}) {
    plugin.environment["CNI_NETNS_OVERRIDE"] = no;
    CHECK(plugin("ADD").exit_status == 1);
  }
  for (const char* yes : {"1", "true", "TRUE", "True"}) {
    plugin.environment["CNI_NETNS_OVERRIDE"] = yes;
    CHECK(plugin("ADD").exit_status == 0);
  }
}

TEST_CASE("add: an interface that is not there", "[add]") {
  PluginRun plugin;
  plugin.environment["CNI_IFNAME"] = "eth1";
  const Outcome outcome = plugin("ADD");
  CHECK(code_in(outcome) == Code::netns_failure);
  CHECK_THAT(message_in(outcome), Contains("\"eth1\"") && Contains("\"/run/netns/pod\""));
  CHECK_FALSE(plugin.is_redirected());
}

TEST_CASE("add: a failure has the code of its cause, and nothing was changed", "[add]") {
  const std::vector<std::pair<int, Code>> cases{
      {EAGAIN, Code::try_again_later}, {ENOTSUP, Code::kernel_unsupported},
      {EPERM, Code::permission},       {EACCES, Code::permission},
      {EINVAL, Code::internal},        {ENOMEM, Code::internal}};
  for (const auto& [errnum, code] : cases) {
    PluginRun counting;
    counting("ADD");
    for (std::size_t n = 1; n <= counting.pod.calls.names().size(); ++n) {
      PluginRun plugin;
      plugin.pod.calls.fail(n, Error(errnum, "do the work"));
      const Outcome outcome = plugin("ADD");
      CAPTURE(errnum, n);
      CHECK(code_in(outcome) == code);
      CHECK_THAT(message_in(outcome), Contains("do the work: "));
      CHECK_FALSE(plugin.is_redirected());
    }
    PluginRun plugin;
    plugin.opening_failure = std::make_exception_ptr(Error(errnum, "open the namespace"));
    CHECK(code_in(plugin("ADD")) == code);
  }
}

TEST_CASE("add: a previous result is needed, and read before anything is done", "[add]") {
  PluginRun plugin;
  SECTION("absent") {
    plugin.network.erase("prevResult");
  }
  SECTION("null") {
    plugin.network["prevResult"] = nullptr;
  }
  const Outcome outcome = plugin("ADD");
  CHECK(code_in(outcome) == Code::invalid_config);
  CHECK_THAT(message_in(outcome), Contains("chained plugin"));
  CHECK(plugin.opened.empty());
}

}  // namespace
}  // namespace sluice::cni

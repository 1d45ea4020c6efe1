// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <cerrno>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "tests/unit/plugin_run.h"
#include "tests/unit/tables.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;
using Texts = std::vector<std::string>;

// A pod of both families after ADD.
struct AddedPod : PluginRun {
  AddedPod() {
    network["dualStack"] = true;
    add_address("fd00::5/64");
    REQUIRE((*this)("ADD").exit_status == 0);
    REQUIRE(owned_rulesets().size() == 2);
    REQUIRE(pod.backend.live.loopback_addresses.size() == 1);
    opened.clear();
  }
};

void check_success(const Outcome& outcome) {
  CHECK(outcome.exit_status == 0);
  CHECK(outcome.out.empty());
}

TEST_CASE("del: the last interface takes the rules and the address with it", "[del]") {
  AddedPod plugin;
  const TableRules foreign = table_with({"-A OUTPUT -o eth9 -j RETURN"}, {}, Table::raw);
  plugin.pod.backend.live.rulesets.front().tables.push_back(foreign);
  check_success(plugin("DEL"));
  CHECK_FALSE(plugin.is_redirected());
  CHECK(plugin.pod.backend.live.loopback_addresses.empty());
  CHECK(*find_table(plugin.pod.backend.live.rulesets.front(), Table::raw) == foreign);
}

TEST_CASE("del: neither configuration nor annotations need be those of ADD", "[del]") {
  AddedPod plugin;
  SECTION("nothing but the name") {
    plugin.network = {{"cniVersion", "1.1.0"}, {"name", "podnet"}};
    plugin.environment.erase("CNI_ARGS");
  }
  SECTION("a configuration that is wrong") {
    plugin.network["proxyPort"] = 0;
  }
  SECTION("annotations that are wrong") {
    plugin.annotate("traffic.sidecar.istio.io/excludeInboundPorts", "http");
  }
  SECTION("annotations of the wrong type") {
    plugin.network["runtimeConfig"] = 5;
  }
  SECTION("a namespace that is excluded by now") {
    plugin.network["excludeNamespaces"] = {"demo"};
  }
  SECTION("a previous result that cannot be read") {
    plugin.network["prevResult"] = "x";
  }
  SECTION("a previous result of no known version") {
    plugin.network["prevResult"] = {{"cniVersion", "9.9.9"}};
  }
  SECTION("an old version, which has no previous result") {
    plugin.network["cniVersion"] = "0.3.1";
    plugin.network.erase("prevResult");
  }
  check_success(plugin("DEL"));
  CHECK_FALSE(plugin.is_redirected());
}

// Both interfaces are emptied whatever the choice: it must not fail for what was pinned meanwhile.
TEST_CASE("del: no backend is insisted on", "[del]") {
  AddedPod plugin;
  plugin.network["backend"] = "nftables";
  plugin.network["nftTable"] = "mesh";
  plugin.pod.settings.clear();
  check_success(plugin("DEL"));
  CHECK_FALSE(plugin.is_redirected());
  CHECK(plugin.pod.settings == std::vector{BackendSettings{.nft_table = "mesh"}});
}

TEST_CASE("del: a kernel that offers no backend holds nothing of ours", "[del]") {
  PluginRun plugin;
  const auto fails_with = [&](std::errc code) {
    plugin.pod.no_backend = Error(std::make_error_code(code), "choose");
    const Outcome outcome = plugin("DEL");
    check_success(outcome);
    return logged(outcome, LogLevel::warn).size();
  };
  CHECK(fails_with(std::errc::not_supported) == 0);
  CHECK(fails_with(std::errc::operation_not_permitted) == 1);
}

TEST_CASE("del: an interruption is said, so that the runtime tries again", "[del]") {
  AddedPod plugin;
  plugin.pod.calls.fail(3, Error(Code::try_again_later, "terminated by signal 15"));
  CHECK(code_in(plugin("DEL")) == Code::try_again_later);
  CHECK(plugin.is_redirected());
  plugin.pod.calls.fail(3, Error(EAGAIN, "commit"));
  check_success(plugin("DEL"));
}

TEST_CASE("del: the interface may be gone already", "[del]") {
  AddedPod plugin;
  plugin.pod.links.pop_back();
  check_success(plugin("DEL"));
  CHECK_FALSE(plugin.is_redirected());
}

TEST_CASE("del: while another interface connects the pod the rules stay", "[del]") {
  AddedPod plugin;
  SECTION("another that is up") {
    plugin.pod.links.push_back({.name = "net1", .up = true});
  }
  SECTION("another that is down for now") {
    plugin.pod.links.push_back({.name = "net1"});
  }
  SECTION("a tunnel that somebody brought up") {
    plugin.pod.links.push_back({.name = "tunl0", .up = true});
  }
  SECTION("a tunnel that is not one of the kernel's own") {
    plugin.pod.links.push_back({.name = "tunl1"});
  }
  SECTION("another, while this one is gone") {
    plugin.pod.links.back().name = "net1";
  }
  const Outcome outcome = plugin("DEL");
  check_success(outcome);
  CHECK(plugin.owned_rulesets().size() == 2);
  REQUIRE(logged(outcome, LogLevel::info).size() == 1);
  CHECK_THAT(logged(outcome, LogLevel::info).front(),
             Contains("pod \"demo/web-0\"") && Contains("\"eth0\""));
}

TEST_CASE("del: interfaces that connect the pod to nothing do not keep the rules", "[del]") {
  AddedPod plugin;
  for (const char* name : {"tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0",
                           "ip6_vti0", "ip6gre0"}) {
    plugin.pod.links.push_back({.name = name});
  }
  plugin.pod.links.push_back({.name = "lo2", .up = true, .loopback = true});
  check_success(plugin("DEL"));
  CHECK_FALSE(plugin.is_redirected());
}

TEST_CASE("del: the plugin's own namespace is left alone", "[del]") {
  AddedPod plugin;
  plugin.pod.own = true;
  const Outcome outcome = plugin("DEL");
  check_success(outcome);
  CHECK(plugin.owned_rulesets().size() == 2);
  REQUIRE(logged(outcome, LogLevel::warn).size() == 1);
  CHECK_THAT(logged(outcome, LogLevel::warn).front(), Contains("CNI_NETNS"));
}

TEST_CASE("del: no namespace is no error, and nothing is opened without a path", "[del]") {
  PluginRun plugin;
  SECTION("unset") {
    plugin.environment.erase("CNI_NETNS");
    check_success(plugin("DEL"));
    CHECK(plugin.opened.empty());
  }
  SECTION("empty") {
    plugin.environment["CNI_NETNS"] = "";
    check_success(plugin("DEL"));
    CHECK(plugin.opened.empty());
  }
  SECTION("a path that is gone") {
    plugin.not_netns = NotNetns{.absent = true, .reason = "does not exist"};
    check_success(plugin("DEL"));
  }
  SECTION("a path to something else") {
    plugin.not_netns = NotNetns{.reason = "is not a network namespace"};
    check_success(plugin("DEL"));
  }
}

TEST_CASE("del: a pod that was never added, and one that is deleted again and again", "[del]") {
  PluginRun plugin;
  for (int i = 0; i < 10; ++i) check_success(plugin("DEL"));
  CHECK_FALSE(plugin.is_redirected());
}

TEST_CASE("del: whatever fails in the namespace does not keep the pod", "[del]") {
  AddedPod counting;
  const std::size_t before = counting.pod.calls.names().size();
  counting("DEL");
  const std::size_t calls = counting.pod.calls.names().size() - before;
  REQUIRE(calls >= 3);
  for (const int errnum : {EAGAIN, EPERM, ENOTSUP, ENODEV, EIO}) {
    for (std::size_t n = 1; n <= calls; ++n) {
      AddedPod plugin;
      plugin.pod.calls.fail(n, Error(errnum, "look into the pod"));
      const Outcome outcome = plugin("DEL");
      CAPTURE(errnum, n);
      check_success(outcome);
      REQUIRE(logged(outcome, LogLevel::warn).size() == 1);
      CHECK_THAT(logged(outcome, LogLevel::warn).front(),
                 Contains("pod \"demo/web-0\"") && Contains("look into the pod: "));
    }
  }
  AddedPod plugin;
  for (const auto& failure :
       {std::make_exception_ptr(Error(EPERM, "open the namespace")),
        std::make_exception_ptr(std::runtime_error("open the namespace: out of the blue"))}) {
    plugin.opening_failure = failure;
    const Outcome outcome = plugin("DEL");
    check_success(outcome);
    CHECK_THAT(logged(outcome, LogLevel::warn).at(0), Contains("open the namespace: "));
  }
}

TEST_CASE("del: what the backend has to say is logged", "[del]") {
  AddedPod plugin;
  plugin.pod.backend.notices = {"went on without the lock"};
  CHECK(logged(plugin("DEL"), LogLevel::warn) ==
        Texts{"pod \"demo/web-0\": went on without the lock"});
}

}  // namespace
}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/settings.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rules/parse.h"
#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::StartsWith;
using Ids = std::vector<std::uint32_t>;

RedirectConfig applied(const Annotations& annotations) {
  RedirectConfig config;
  apply_annotations(config, annotations);
  return config;
}

RedirectConfig with_one(const std::string& annotation, const std::string& value) {
  return applied({{annotation, value}});
}

TEST_CASE("settings: names are unique and of one form", "[settings]") {
  std::set<std::string> keys;
  std::set<std::string> flags;
  std::set<std::string> annotations;
  for (const Setting& setting : settings()) {
    CAPTURE(setting.key);
    CHECK(keys.insert(setting.key).second);
    CHECK(flags.insert(setting.flag).second);
    CHECK_THAT(setting.flag, StartsWith("--"));
    CHECK(*setting.help != '\0');
    if (*setting.annotation != '\0') CHECK(annotations.insert(setting.annotation).second);
  }
  CHECK(annotations == std::set<std::string>{"traffic.sidecar.istio.io/includeInboundPorts",
                                             "traffic.sidecar.istio.io/excludeInboundPorts",
                                             "traffic.sidecar.istio.io/includeOutboundPorts",
                                             "traffic.sidecar.istio.io/excludeOutboundPorts",
                                             "traffic.sidecar.istio.io/includeOutboundIPRanges",
                                             "traffic.sidecar.istio.io/excludeOutboundIPRanges",
                                             "traffic.sidecar.istio.io/excludeInterfaces",
                                             "sidecar.istio.io/interceptionMode",
                                             "sluice.dev/proxy-uid", "sluice.dev/proxy-gid",
                                             "sluice.dev/dual-stack"});
}

TEST_CASE("settings: each annotation sets its own part", "[settings]") {
  const std::string traffic = "traffic.sidecar.istio.io/";
  CHECK(with_one(traffic + "includeInboundPorts", "80").include_inbound_ports ==
        parse_port_selection("80"));
  CHECK(with_one(traffic + "includeInboundPorts", "*").include_inbound_ports.all);
  CHECK(with_one(traffic + "excludeInboundPorts", "81").exclude_inbound_ports == parse_ports("81"));
  CHECK(with_one(traffic + "includeOutboundPorts", "82").include_outbound_ports ==
        parse_ports("82"));
  CHECK(with_one(traffic + "excludeOutboundPorts", "83").exclude_outbound_ports ==
        parse_ports("83"));
  CHECK(with_one(traffic + "includeOutboundIPRanges", "10.0.0.0/8").include_outbound_cidrs ==
        parse_cidr_selection("10.0.0.0/8"));
  CHECK(with_one(traffic + "excludeOutboundIPRanges", "fd00::/8").exclude_outbound_cidrs ==
        parse_cidrs("fd00::/8"));
  CHECK(with_one(traffic + "excludeInterfaces", "net1").exclude_interfaces ==
        std::vector<std::string>{"net1"});
  CHECK(with_one("sidecar.istio.io/interceptionMode", "NONE").mode == InterceptionMode::none);
  CHECK(with_one("sluice.dev/proxy-uid", "5,6").proxy_uids == Ids{5, 6});
  CHECK(with_one("sluice.dev/proxy-gid", "7").proxy_gids == Ids{7});
  CHECK(with_one("sluice.dev/dual-stack", "true").dual_stack);
  CHECK_FALSE(with_one("sluice.dev/dual-stack", "0").dual_stack);
}

TEST_CASE("settings: an empty annotation is an empty list, not the default", "[settings]") {
  const std::string traffic = "traffic.sidecar.istio.io/";
  CHECK_FALSE(with_one(traffic + "includeInboundPorts", "").include_inbound_ports.all);
  CHECK_FALSE(with_one(traffic + "includeOutboundIPRanges", "").include_outbound_cidrs.all);
  REQUIRE(with_one(traffic + "excludeOutboundPorts", "").exclude_outbound_ports.has_value());
  CHECK(with_one(traffic + "excludeOutboundPorts", "").exclude_outbound_ports->empty());
}

TEST_CASE("settings: annotations that are nobody's set nothing", "[settings]") {
  const RedirectConfig config = applied({{"proxyPort", "5"},
                                         {"sluice.dev/proxy-port", "5"},
                                         {"SLUICE.dev/proxy-uid", "5"},
                                         {"sidecar.istio.io/status", "x"}});
  CHECK(config.proxy_port == 15001);
  CHECK(config.proxy_uids == Ids{1337});
}

TEST_CASE("settings: a value that cannot be followed is named with its annotation", "[settings]") {
  const std::string traffic = "traffic.sidecar.istio.io/";
  const std::vector<std::pair<std::string, std::string>> bad{
      {traffic + "includeInboundPorts", "80,*"},
      {traffic + "excludeInboundPorts", "*"},
      {traffic + "includeOutboundPorts", "*"},
      {traffic + "excludeOutboundPorts", "0"},
      {traffic + "includeOutboundIPRanges", "10.0.0.1"},
      {traffic + "excludeOutboundIPRanges", "*"},
      {traffic + "excludeInterfaces", "eth+"},
      {"sidecar.istio.io/interceptionMode", "TPROXY"},
      {"sidecar.istio.io/interceptionMode", "none"},
      {"sluice.dev/proxy-uid", ""},
      {"sluice.dev/proxy-gid", "root"},
      {"sluice.dev/dual-stack", "yes"},
  };
  for (const auto& [annotation, value] : bad) {
    CAPTURE(annotation, value);
    const Error error = thrown_by([&, a = annotation, v = value] { with_one(a, v); });
    CHECK(code_of(error) == Code::invalid_config);
    CHECK_THAT(error.what(), StartsWith("annotation " + annotation + ": "));
  }
}

TEST_CASE("settings: every parser names what it cannot read", "[settings]") {
  for (const Setting& setting : settings()) {
    CAPTURE(setting.key);
    RedirectConfig config;
    const std::string message = message_of([&] { setting.set(config, "n\no"); });
    CHECK(message.find("n\\x0ao") != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
  }
}

}  // namespace
}  // namespace sluice::cni

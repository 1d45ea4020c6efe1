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
    CHECK(!setting.help.empty());
    for (const char* name : {setting.annotation, setting.former_annotation}) {
      if (*name != '\0') CHECK(annotations.insert(name).second);
    }
  }
  CHECK(annotations == std::set<std::string>{"traffic.sidecar.istio.io/includeInboundPorts",
                                             "traffic.sidecar.istio.io/excludeInboundPorts",
                                             "traffic.sidecar.istio.io/includeOutboundPorts",
                                             "traffic.sidecar.istio.io/excludeOutboundPorts",
                                             "traffic.sidecar.istio.io/includeOutboundIPRanges",
                                             "traffic.sidecar.istio.io/excludeOutboundIPRanges",
                                             "traffic.sidecar.istio.io/excludeInterfaces",
                                             "sidecar.istio.io/interceptionMode",
                                             "istio.io/reroute-virtual-interfaces",
                                             "traffic.sidecar.istio.io/kubevirtInterfaces",
                                             "sluice.dev/exclude-inbound-cidrs",
                                             "sluice.dev/exclude-outbound-for-uids",
                                             "sluice.dev/include-owner-groups",
                                             "sluice.dev/exclude-owner-groups",
                                             "sluice.dev/dns-capture",
                                             "sluice.dev/drop-invalid",
                                             "sluice.dev/log",
                                             "sluice.dev/proxy-uid",
                                             "sluice.dev/proxy-gid",
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

TEST_CASE("settings: each annotation of the newer kind sets its own part", "[settings]") {
  CHECK(with_one("sidecar.istio.io/interceptionMode", "TPROXY").mode == InterceptionMode::tproxy);
  CHECK(with_one("sluice.dev/exclude-inbound-cidrs", "10.0.0.0/8").exclude_inbound_cidrs ==
        parse_cidrs("10.0.0.0/8"));
  CHECK(with_one("sluice.dev/exclude-outbound-for-uids", "udp::9").exclude_outbound_for_uids ==
        parse_uid_exclusions("udp::9"));
  CHECK(with_one("sluice.dev/include-owner-groups", "5").include_owner_groups.list == Ids{5});
  CHECK(with_one("sluice.dev/exclude-owner-groups", "6").exclude_owner_groups == Ids{6});
  CHECK(with_one("sluice.dev/dns-capture", "all").dns_capture == DnsCapture::all);
  CHECK(with_one("sluice.dev/drop-invalid", "1").drop_invalid);
  CHECK(with_one("sluice.dev/log", "true").log);
}

TEST_CASE("settings: what only the configuration and the command line can set", "[settings]") {
  RedirectConfig config;
  const auto set = [&](const std::string& key, const char* value) {
    for (const Setting& setting : settings()) {
      if (key == setting.key) {
        CHECK(*setting.annotation == '\0');
        return setting.set(config, value);
      }
    }
    FAIL("no key " << key);
  };
  set("tproxyMark", "0x10");
  set("tproxyTable", "100");
  set("dnsResolvers", "10.96.0.10,fd00::10");
  set("dnsPort", "53");
  set("ipv4LoopbackCidr", "127.0.0.0/8");
  CHECK(config.tproxy_mark == 16);
  CHECK(config.tproxy_table == 100);
  CHECK(config.resolvers == parse_resolvers("10.96.0.10,fd00::10"));
  CHECK(config.dns_port == 53);
  CHECK(config.ipv4_loopback == parse_cidr("127.0.0.0/8"));
}

TEST_CASE("settings: the newer name of virtual interfaces wins, even if it is empty",
          "[settings]") {
  const std::string newer = "istio.io/reroute-virtual-interfaces";
  const std::string former = "traffic.sidecar.istio.io/kubevirtInterfaces";
  using Names = std::vector<std::string>;
  CHECK(with_one(newer, "vnet0").virtual_interfaces == Names{"vnet0"});
  CHECK(with_one(former, "vnet1").virtual_interfaces == Names{"vnet1"});
  CHECK(applied({{newer, "vnet0"}, {former, "vnet1"}}).virtual_interfaces == Names{"vnet0"});
  // What does not count is not parsed either.
  CHECK(applied({{newer, ""}, {former, "eth+"}}).virtual_interfaces.empty());
  CHECK_THAT(message_of([&] { with_one(former, "eth+"); }),
             StartsWith("annotation " + former + ": "));
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
      {"sidecar.istio.io/interceptionMode", "tproxy"},
      {"istio.io/reroute-virtual-interfaces", "vnet+"},
      {"sluice.dev/exclude-inbound-cidrs", "*"},
      {"sluice.dev/exclude-outbound-for-uids", "1000"},
      {"sluice.dev/include-owner-groups", "staff"},
      {"sluice.dev/exclude-owner-groups", "*"},
      {"sluice.dev/dns-capture", "true"},
      {"sluice.dev/drop-invalid", "on"},
      {"sluice.dev/log", ""},
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

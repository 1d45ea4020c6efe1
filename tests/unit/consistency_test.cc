// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/consistency.h"

#include <catch2/catch.hpp>
#include <string>

#include "rules/parse.h"
#include "tests/unit/thrown.h"

namespace sluice {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

std::string refusal(const RedirectConfig& config) {
  return message_of([&] { refuse_contradictions(config); });
}

TEST_CASE("consistency: what is consistent", "[consistency]") {
  CHECK_NOTHROW(refuse_contradictions({}));
  CHECK_NOTHROW(refuse_contradictions({.dns_capture = DnsCapture::all}));
  CHECK_NOTHROW(refuse_contradictions(
      {.dns_capture = DnsCapture::resolvers, .resolvers = parse_resolvers("10.96.0.10")}));
  CHECK_NOTHROW(refuse_contradictions({.exclude_owner_groups = {1, 2}}));
  CHECK_NOTHROW(refuse_contradictions({.include_owner_groups = {.all = false}}));
  // Nobody listens there while DNS is not captured.
  CHECK_NOTHROW(refuse_contradictions({.dns_port = 15001}));
  CHECK_NOTHROW(refuse_contradictions({.tproxy_mark = outbound_mark}));
}

TEST_CASE("consistency: resolvers that nobody knows are refused by name", "[consistency]") {
  const RedirectConfig config{.dns_capture = DnsCapture::resolvers};
  CHECK_THAT(refusal(config), StartsWith("dnsCapture \"resolvers\": "));
  CHECK_THAT(refusal(config), Contains("capability \"dns\"") && Contains("dnsResolvers"));
}

TEST_CASE("consistency: groups are either included or excluded", "[consistency]") {
  for (const char* included : {"", "5"}) {
    const RedirectConfig config{.include_owner_groups = parse_owner_group_selection(included),
                                .exclude_owner_groups = {7, 8}};
    CHECK(refusal(config) ==
          "excludeOwnerGroups \"7\" has no meaning unless includeOwnerGroups is \"*\"");
  }
}

TEST_CASE("consistency: listeners do not share a port", "[consistency]") {
  CHECK(refusal({.proxy_port = 15006}) == "proxyPort and inboundCapturePort are both 15006");
  CHECK(refusal({.dns_capture = DnsCapture::all, .dns_port = 15001}) ==
        "proxyPort and dnsPort are both 15001");
  CHECK(refusal({.inbound_tunnel_port = 15001}) ==
        "proxyPort and inboundTunnelPort are both 15001");
  CHECK(refusal({.inbound_tunnel_port = 15006}) ==
        "inboundCapturePort and inboundTunnelPort are both 15006");
  CHECK(refusal({.dns_capture = DnsCapture::all, .dns_port = 15008}) ==
        "inboundTunnelPort and dnsPort are both 15008");
  CHECK(refusal({.dns_capture = DnsCapture::all, .dns_port = 15006}) ==
        "inboundCapturePort and dnsPort are both 15006");
}

TEST_CASE("consistency: inbound and outbound calls have marks of their own", "[consistency]") {
  CHECK(refusal({.mode = InterceptionMode::tproxy, .tproxy_mark = outbound_mark}) ==
        "tproxyMark \"1338\" is that of the sidecar's own calls");
}

TEST_CASE("consistency: two long lists do not multiply without limit", "[consistency]") {
  RedirectConfig config;
  for (int i = 0; i < 128; ++i) config.virtual_interfaces.push_back("v" + std::to_string(i));
  CHECK_NOTHROW(refuse_contradictions(config));
  config.include_outbound_cidrs.all = false;
  config.include_outbound_cidrs.list.resize(64);
  CHECK_NOTHROW(refuse_contradictions(config));
  config.include_outbound_cidrs.list.resize(65);
  CHECK(refusal(config) ==
        "virtualInterfaces and includeOutboundCidrs make 8320 pairs, more than 8192");
  config.include_outbound_cidrs = {};
  config.resolvers.resize(65);
  CHECK_NOTHROW(refuse_contradictions(config));
  config.dns_capture = DnsCapture::resolvers;
  CHECK(refusal(config) == "virtualInterfaces and dnsResolvers make 8320 pairs, more than 8192");
}

TEST_CASE("consistency: nothing is refused where nothing is written", "[consistency]") {
  CHECK_NOTHROW(refuse_contradictions({.mode = InterceptionMode::none,
                                       .proxy_port = 15006,
                                       .exclude_owner_groups = {1},
                                       .dns_capture = DnsCapture::resolvers}));
}

}  // namespace
}  // namespace sluice

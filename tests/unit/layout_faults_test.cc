// SPDX-License-Identifier: GPL-2.0-or-later
// Where layout "sluice" differs from "istio", and that it does not elsewhere. What packets make of
// it is tested in tests/e2e.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "rules/parse.h"
#include "rules/redirect.h"
#include "tests/unit/tables.h"

namespace sluice {
namespace {

using Texts = std::vector<std::string>;

Texts chain_of(RedirectConfig config, const char* layout, Table table, const char* chain,
               Family family = Family::ipv4) {
  config.layout = find_layout(layout);
  const Ruleset ruleset = redirect_ruleset(config, family);
  const TableRules* found = find_table(ruleset, table);
  return found == nullptr ? Texts{} : rules_in(*found, chain);
}

// Rules of `a` that `b` does not have.
Texts without(Texts a, Texts b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  Texts rest;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(rest));
  return rest;
}

TEST_CASE("layout sluice: the tunnel port is exempt in mode TPROXY too", "[layout]") {
  RedirectConfig config;
  config.mode = InterceptionMode::tproxy;
  config.inbound_tunnel_port = 16008;
  const Texts istio = chain_of(config, "istio", Table::mangle, "ISTIO_INBOUND");
  const Texts mended = chain_of(config, "sluice", Table::mangle, "ISTIO_INBOUND");
  CHECK(without(istio, mended).empty());
  CHECK(without(mended, istio) ==
        Texts{"-A ISTIO_INBOUND -p tcp -m conntrack --ctdir REPLY -j RETURN",
              "-A ISTIO_INBOUND -p tcp -m tcp --dport 16008 -j RETURN"});
  // Behind the marks, before all that is captured.
  CHECK(mended.at(4) == "-A ISTIO_INBOUND -p tcp -m tcp --dport 16008 -j RETURN");
}

TEST_CASE("layout sluice: traffic over lo is told after all of the sidecar's IDs", "[layout]") {
  RedirectConfig config;
  config.proxy_uids = {1, 2};
  config.proxy_gids = {3};
  CHECK(chain_of(config, "sluice", Table::nat, "ISTIO_OUTPUT") ==
        Texts{"-A ISTIO_OUTPUT -p tcp -m tcp --dport 15020 -j RETURN",
              "-A ISTIO_OUTPUT -p udp -m udp --dport 15020 -j RETURN",
              "-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN",
              "-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner "
              "--uid-owner 1 -j ISTIO_IN_REDIRECT",
              "-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner "
              "--uid-owner 2 -j ISTIO_IN_REDIRECT",
              "-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner "
              "--gid-owner 3 -j ISTIO_IN_REDIRECT",
              "-A ISTIO_OUTPUT -m owner --uid-owner 1 -j RETURN",
              "-A ISTIO_OUTPUT -m owner --uid-owner 2 -j RETURN",
              "-A ISTIO_OUTPUT -m owner --gid-owner 3 -j RETURN", "-A ISTIO_OUTPUT -o lo -j RETURN",
              "-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN", "-A ISTIO_OUTPUT -j ISTIO_REDIRECT"});
}

TEST_CASE("layout sluice: loopback stays captured where it is asked for", "[layout]") {
  RedirectConfig config;
  config.include_outbound_cidrs = parse_cidr_selection("127.0.0.0/8");
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const Texts rules = chain_of(config, "sluice", Table::nat, "ISTIO_OUTPUT", family);
    CHECK(std::find(rules.begin(), rules.end(), "-A ISTIO_OUTPUT -o lo -j RETURN") == rules.end());
  }
}

TEST_CASE("layout sluice: exclusions and DNS count for virtual interfaces", "[layout]") {
  RedirectConfig config;
  config.virtual_interfaces = {"vif0", "eth1"};
  config.exclude_interfaces = {"eth1"};
  config.exclude_outbound_ports = parse_ports("25");
  config.exclude_outbound_cidrs = parse_cidrs("10.0.0.0/8,fd00::/8");
  config.include_outbound_ports = parse_ports("8443");
  config.include_outbound_cidrs = parse_cidr_selection("192.0.2.0/24,2001:db8::/32");
  config.dns_capture = DnsCapture::all;
  CHECK(chain_of(config, "sluice", Table::nat, "PREROUTING") ==
        Texts{"-A PREROUTING -i eth1 -j RETURN", "-A PREROUTING -i vif0 -j ISTIO_VIRTUAL",
              "-A PREROUTING -p tcp -j ISTIO_INBOUND"});
  CHECK(chain_of(config, "sluice", Table::nat, "ISTIO_VIRTUAL") ==
        Texts{"-A ISTIO_VIRTUAL -p tcp -m tcp --dport 25 -j RETURN",
              "-A ISTIO_VIRTUAL -p udp -m udp --dport 25 -j RETURN",
              "-A ISTIO_VIRTUAL -j ISTIO_OUTPUT_DNS", "-A ISTIO_VIRTUAL -d 10.0.0.0/8 -j RETURN",
              "-A ISTIO_VIRTUAL -p tcp -m tcp --dport 8443 -j ISTIO_REDIRECT",
              "-A ISTIO_VIRTUAL -d 192.0.2.0/24 -j ISTIO_REDIRECT"});
  CHECK(chain_of(config, "sluice", Table::nat, "ISTIO_INBOUND").front() ==
        "-A ISTIO_INBOUND -i vif0 -j RETURN");
  CHECK(chain_of(config, "sluice", Table::raw, "ISTIO_INBOUND") ==
        Texts{"-A ISTIO_INBOUND -p udp -m udp --sport 53 -j CT --zone 1",
              "-A ISTIO_INBOUND -i vif0 -p udp -m udp --dport 53 -j CT --zone 2"});
  CHECK(chain_of(config, "istio", Table::nat, "ISTIO_VIRTUAL").empty());
}

TEST_CASE("layout sluice: what comes back to a guest is not diverted in mode TPROXY", "[layout]") {
  RedirectConfig config;
  config.mode = InterceptionMode::tproxy;
  const std::string replies = "-A ISTIO_INBOUND -p tcp -m conntrack --ctdir REPLY -j RETURN";
  const auto position = [&](const char* layout) {
    const Texts rules = chain_of(config, layout, Table::mangle, "ISTIO_INBOUND");
    return std::find(rules.begin(), rules.end(), replies) - rules.begin();
  };
  CHECK(position("sluice") == 3);
  const Texts istio = chain_of(config, "istio", Table::mangle, "ISTIO_INBOUND");
  CHECK(std::find(istio.begin(), istio.end(), replies) == istio.end());
}

// Else the sidecar, known by its GID, would get back what it sends in the client's name.
TEST_CASE("layout sluice: in mode TPROXY calls in the client's name are no self-calls",
          "[layout]") {
  RedirectConfig config;
  config.mode = InterceptionMode::tproxy;
  const std::string marked = "-A ISTIO_OUTPUT -o lo -p tcp -m mark --mark 0x539 -j RETURN";
  CHECK(chain_of(config, "sluice", Table::nat, "ISTIO_OUTPUT").at(3) == marked);
  const Texts istio = chain_of(config, "istio", Table::nat, "ISTIO_OUTPUT");
  CHECK(std::find(istio.begin(), istio.end(), marked) == istio.end());
  config.mode = InterceptionMode::redirect;
  const Texts redirect = chain_of(config, "sluice", Table::nat, "ISTIO_OUTPUT");
  CHECK(std::find(redirect.begin(), redirect.end(), marked) == redirect.end());
}

TEST_CASE("layout sluice: DNS and the tunnel are no self-calls in mode TPROXY either", "[layout]") {
  RedirectConfig config;
  config.mode = InterceptionMode::tproxy;
  config.proxy_gids = {};
  const std::string begin = "-A OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp ";
  const std::string end = "-m owner --uid-owner 1337 -j MARK --set-xmark 0x53a/0xffffffff";
  const auto rule = [&](const char* layout) {
    return chain_of(config, layout, Table::mangle, "OUTPUT").at(1);
  };
  CHECK(rule("istio") == begin + end);
  CHECK(rule("sluice") == begin + "-m tcp ! --dport 15008 " + end);
  config.dns_capture = DnsCapture::all;
  CHECK(rule("istio") == begin + end);
  CHECK(rule("sluice") == begin + "-m multiport ! --dports 53,15008 " + end);
}

TEST_CASE("layout sluice: a guest's DNS has no zone where port 53 is excluded", "[layout]") {
  RedirectConfig config;
  config.virtual_interfaces = {"vif0"};
  config.dns_capture = DnsCapture::all;
  config.exclude_outbound_ports = parse_ports("1-53");
  CHECK(chain_of(config, "sluice", Table::raw, "ISTIO_INBOUND") ==
        Texts{"-A ISTIO_INBOUND -p udp -m udp --sport 53 -j CT --zone 1"});
}

TEST_CASE("layout sluice: mode TPROXY without inbound ports writes no mangle", "[layout]") {
  RedirectConfig config;
  config.mode = InterceptionMode::tproxy;
  config.include_inbound_ports = parse_port_selection("");
  config.layout = find_layout("sluice");
  CHECK(find_table(redirect_ruleset(config, Family::ipv4), Table::mangle) == nullptr);
  config.layout = find_layout("istio");
  CHECK(find_table(redirect_ruleset(config, Family::ipv4), Table::mangle) != nullptr);
  CHECK(interception(config, {}).tproxy_routes.empty());
}

TEST_CASE("layout sluice: without what is mended it is Istio's", "[layout]") {
  RedirectConfig config;
  config.proxy_gids = {};  // one ID: nobody is shadowed
  config.dns_capture = DnsCapture::all;
  config.drop_invalid = true;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    config.layout = find_layout("istio");
    const Ruleset istio = redirect_ruleset(config, family);
    config.layout = find_layout("sluice");
    const Ruleset mended = redirect_ruleset(config, family);
    REQUIRE(istio.tables.size() == mended.tables.size());
    for (std::size_t i = 0; i < istio.tables.size(); ++i) {
      if (istio.tables[i].table == Table::nat) continue;
      CHECK(istio.tables[i] == mended.tables[i]);
    }
    for (const char* chain : {"PREROUTING", "OUTPUT", "ISTIO_INBOUND", "ISTIO_OUTPUT_DNS"}) {
      CHECK(chain_of(config, "istio", Table::nat, chain, family) ==
            chain_of(config, "sluice", Table::nat, chain, family));
    }
  }
}

TEST_CASE("layout istio-1.6: DNS over UDP is seen where it is captured", "[layout]") {
  RedirectConfig config;
  CHECK(chain_of(config, "istio-1.6", Table::nat, "OUTPUT") ==
        Texts{"-A OUTPUT -p tcp -j ISTIO_OUTPUT"});
  config.dns_capture = DnsCapture::all;
  CHECK(chain_of(config, "istio-1.6", Table::nat, "OUTPUT") == Texts{"-A OUTPUT -j ISTIO_OUTPUT"});
}

}  // namespace
}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/recognition.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "rules/diff.h"
#include "rules/parse.h"
#include "rules/text.h"
#include "tests/unit/golden_live.h"

namespace sluice {
namespace {

// An IPv6 pod: IPv6 is redirected by default.
const PodNetwork ipv6_pod{.addresses = {parse_address("fd00::1")}};

// Recognises it and checks that what is given writes it.
std::optional<RedirectConfig> check_recognised(const Interception& live,
                                               const PodNetwork& pod = {}) {
  std::optional<RedirectConfig> config = recognise(live, pod);
  const std::vector<Difference> differences =
      diff(config ? interception(*config, pod) : Interception{}, live);
  std::string texts;
  for (const Difference& found : differences) texts += to_string(found) + "\n";
  INFO(texts);
  CHECK(config);
  CHECK(texts.empty());
  return config;
}

// Takes one thing out of a rule set, or puts one in; says whether there was any.
using Damage = std::function<bool(Interception&)>;

// To how many golden configurations `damage` can be done; none is recognised then.
std::size_t check_damaged(const Damage& damage) {
  std::size_t damaged = 0;
  for (const GoldenLive& golden : golden_lives()) {
    Interception live = golden.live;
    if (!damage(live)) continue;
    CAPTURE(golden.name);
    CHECK_FALSE(recognise(live));
    ++damaged;
  }
  return damaged;
}

// Erases the first rule of the chain that jumps there without looking at ports or addresses.
bool erase_jump(Interception& live, Family family, Table table, const std::string& chain,
                const std::string& target) {
  std::vector<Rule>* rules = find_rules(live, family, table, chain);
  if (rules == nullptr) return false;
  const auto found = std::find_if(rules->begin(), rules->end(), [&](const Rule& rule) {
    return rule.target == Target(Jump{target}) && rule.matches.empty() && !rule.destination &&
           !rule.in;
  });
  if (found == rules->end()) return false;
  rules->erase(found);
  return true;
}

bool erase_table(Interception& live, Family family, Table table) {
  Ruleset* ruleset = find_family(live, family);
  return ruleset != nullptr && std::erase_if(ruleset->tables, [&](const TableRules& rules) {
                                 return rules.table == table;
                               }) > 0;
}

TEST_CASE("recognition: every golden configuration's rules", "[recognition]") {
  for (const GoldenLive& golden : golden_lives()) {
    CAPTURE(golden.name);
    check_recognised(golden.live);
  }
  CHECK(golden_lives().size() > 120);
}

TEST_CASE("recognition: IPv4's part alone is what `never` writes", "[recognition]") {
  for (const GoldenLive& golden : golden_lives()) {
    CAPTURE(golden.name);
    const auto config = check_recognised(live_of({golden.live.rulesets.front()}));
    CHECK((config && config->ipv6 == Ipv6Policy::never));
  }
}

TEST_CASE("recognition: what was asked for is read back", "[recognition]") {
  RedirectConfig config;
  config.ipv6 = Ipv6Policy::block;
  config.layout = find_layout("sluice");
  config.mode = InterceptionMode::tproxy;
  config.tproxy_mark = 7;
  config.tproxy_table = 99;
  config.proxy_port = 16001;
  config.inbound_capture_port = 16006;
  config.inbound_tunnel_port = 16008;
  config.proxy_uids = {5, 4294967294};
  config.proxy_gids = {6, 7};
  config.exclude_inbound_ports = parse_ports("22,8000-8100");
  config.include_outbound_ports = parse_ports("3306,1-65535");
  config.exclude_outbound_ports = parse_ports("25");
  config.include_outbound_cidrs = parse_cidr_selection("10.0.0.0/8,fd00::/8");
  config.exclude_outbound_cidrs = parse_cidrs("10.1.0.0/16,0.0.0.0/0,fd01::/16");
  config.exclude_interfaces = {"eth1"};
  config.virtual_interfaces = {"tap1", "tap0"};
  config.exclude_inbound_cidrs = parse_cidrs("192.0.2.0/24,2001:db8::/32");
  config.exclude_outbound_for_uids = parse_uid_exclusions("tcp:443:1000;udp::999;::1-998");
  config.include_owner_groups = {.all = false, .list = {202, 3000}};
  config.dns_capture = DnsCapture::resolvers;
  config.resolvers = parse_resolvers("10.96.0.10,fd00::10");
  config.dns_port = 16053;
  config.drop_invalid = true;
  config.ipv4_loopback = parse_cidr("127.0.0.0/8");
  config.log = true;
  const std::optional<RedirectConfig> found = recognise(interception(config, {}));
  REQUIRE(found);
  CHECK(found->layout == config.layout);
  CHECK(found->ipv6 == Ipv6Policy::block);
  CHECK(found->mode == config.mode);
  CHECK(found->tproxy_mark == config.tproxy_mark);
  CHECK(found->tproxy_table == config.tproxy_table);
  CHECK(found->proxy_port == config.proxy_port);
  CHECK(found->inbound_capture_port == config.inbound_capture_port);
  CHECK(found->inbound_tunnel_port == config.inbound_tunnel_port);
  CHECK(found->proxy_uids == config.proxy_uids);
  CHECK(found->proxy_gids == config.proxy_gids);
  CHECK(found->include_inbound_ports == config.include_inbound_ports);
  CHECK(found->exclude_inbound_ports == config.exclude_inbound_ports);
  CHECK(found->include_outbound_ports == config.include_outbound_ports);
  CHECK(found->exclude_outbound_ports == config.exclude_outbound_ports);
  CHECK(found->include_outbound_cidrs == config.include_outbound_cidrs);
  CHECK(found->exclude_outbound_cidrs == config.exclude_outbound_cidrs);
  CHECK(found->exclude_interfaces == config.exclude_interfaces);
  CHECK(found->virtual_interfaces == config.virtual_interfaces);
  CHECK(found->exclude_inbound_cidrs == config.exclude_inbound_cidrs);
  CHECK(found->exclude_outbound_for_uids == config.exclude_outbound_for_uids);
  CHECK(found->include_owner_groups == config.include_owner_groups);
  CHECK(found->dns_capture == config.dns_capture);
  CHECK(found->resolvers == config.resolvers);
  CHECK(found->dns_port == config.dns_port);
  CHECK(found->drop_invalid);
  CHECK(found->ipv4_loopback == config.ipv4_loopback);
  CHECK(found->log);
}

TEST_CASE("recognition: nothing of ours", "[recognition]") {
  CHECK_FALSE(recognise({}));
  CHECK_FALSE(recognise(interception({.mode = InterceptionMode::none}, {})));
  const std::string foreign =
      "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:THEIRS - [0:0]\n"
      "-A PREROUTING -i eth1 -j RETURN\n-A OUTPUT -o eth1 -j RETURN\n-A OUTPUT -j THEIRS\nCOMMIT\n";
  CHECK_FALSE(recognise({.rulesets = parse_save(foreign)}));
  CHECK_FALSE(recognise({.loopback_addresses = {passthrough_source(Family::ipv6)}}));
}

TEST_CASE("recognition: the first layout of several", "[recognition]") {
  RedirectConfig config;
  config.layout = find_layout("istio-1.6");
  // Without a tunnel and without excluded ports it writes what no other layout does.
  const auto found = recognise(interception(config, {}));
  REQUIRE(found);
  CHECK(found->layout == config.layout);
}

TEST_CASE("recognition: a port that the layout does not name is not taken for a shared one",
          "[recognition]") {
  RedirectConfig config;
  config.layout = find_layout("istio-1.6");
  config.proxy_port = 15008;
  config.inbound_capture_port = 15007;
  config.inbound_tunnel_port = 1;
  CHECK(recognise(interception(config, {})));
}

TEST_CASE("recognition: loopback of IPv6 where IPv6 has no rules", "[recognition]") {
  RedirectConfig config;
  for (const char* cidrs : {"::1/128", "10.0.0.0/8,::1/128", "0.0.0.0/0,::1/128"}) {
    CAPTURE(cidrs);
    config.include_outbound_cidrs = parse_cidr_selection(cidrs);
    CHECK(recognise(interception(config, {})));
  }
}

TEST_CASE("recognition: resolvers of IPv6 where IPv6 has no rules", "[recognition]") {
  RedirectConfig config;
  config.dns_capture = DnsCapture::resolvers;
  config.resolvers = parse_resolvers("fd00::10");
  CHECK(recognise(interception(config, {})));
}

TEST_CASE("recognition: the address on lo", "[recognition]") {
  RedirectConfig config;
  Interception live = interception(config, ipv6_pod);
  const std::vector<Cidr> on_lo{passthrough_source(Family::ipv6)};
  REQUIRE(live.loopback_addresses == on_lo);
  CHECK(recognise(live, ipv6_pod));
  live.loopback_addresses.clear();
  CHECK_FALSE(recognise(live, ipv6_pod));
  // It cannot be there.
  PodNetwork without = ipv6_pod;
  without.ipv6_on_loopback = false;
  CHECK(recognise(live, without));
  // Istio puts it there without need, but not without IPv6.
  config.include_inbound_ports.all = false;
  live = interception(config, ipv6_pod);
  REQUIRE(live.loopback_addresses.empty());
  CHECK(recognise(live, ipv6_pod));
  live.loopback_addresses = on_lo;
  CHECK(recognise(live, ipv6_pod));
  live = interception(config, {});
  live.loopback_addresses = on_lo;
  CHECK_FALSE(recognise(live));
}

RedirectConfig tproxy_config() {
  RedirectConfig config;
  config.mode = InterceptionMode::tproxy;
  config.tproxy_table = 77;
  return config;
}

// Whether the rules are recognised in an IPv6 pod with these routes.
bool recognised_with(const std::vector<TproxyRoute>& routes) {
  Interception live = interception(tproxy_config(), ipv6_pod);
  live.tproxy_routes = routes;
  return recognise(live, ipv6_pod).has_value();
}

TEST_CASE("recognition: the routes of mode tproxy", "[recognition]") {
  const TproxyRoute ipv4{.family = Family::ipv4, .mark = 1337, .table = 77};
  const TproxyRoute ipv6{.family = Family::ipv6, .mark = 1337, .table = 77};
  const auto found = check_recognised(interception(tproxy_config(), ipv6_pod), ipv6_pod);
  CHECK((found && found->tproxy_table == 77));
  CHECK(recognised_with({ipv4, ipv6}));
  // Istio adds it again each time it runs.
  CHECK(recognised_with({ipv4, ipv4, ipv6}));
  CHECK_FALSE(recognised_with({}));
  CHECK_FALSE(recognised_with({ipv6}));
  CHECK_FALSE(recognised_with({ipv4}));
  CHECK_FALSE(recognised_with({ipv4, ipv6, {.mark = 1337, .table = 78}}));
  CHECK_FALSE(recognised_with({ipv4, ipv6, {.family = Family::ipv6, .mark = 1, .table = 77}}));
}

TEST_CASE("recognition: routes that are not needed", "[recognition]") {
  Interception live = interception(tproxy_config(), ipv6_pod);
  live.tproxy_routes.pop_back();
  CHECK_FALSE(recognise(live, ipv6_pod));
  // Nobody outside speaks IPv6 with this pod.
  CHECK(recognise(live));
  live.rulesets = interception({}, ipv6_pod).rulesets;
  CHECK_FALSE(recognise(live));
}

void check_refused(const std::function<void(RedirectConfig&)>& change) {
  RedirectConfig config;
  change(config);
  CHECK_FALSE(recognise(interception(config, {})));
}

TEST_CASE("recognition: ports that no setting has", "[recognition]") {
  const PortRange none{.first = 0, .last = 0};
  check_refused([](auto& c) { c.proxy_port = 0; });
  check_refused([](auto& c) { c.inbound_tunnel_port = 0; });
  check_refused([](auto& c) { c.proxy_port = c.inbound_capture_port; });
  check_refused([&](auto& c) { c.exclude_outbound_ports = {none}; });
  check_refused([&](auto& c) { c.include_outbound_ports = {none}; });
  check_refused([&](auto& c) { c.exclude_inbound_ports = {none}; });
}

TEST_CASE("recognition: owners that no setting has", "[recognition]") {
  check_refused([](auto& c) { c.proxy_uids = {4294967295}; });
  check_refused([](auto& c) { c.proxy_uids.clear(); });
  check_refused([](auto& c) { c.proxy_gids.clear(); });
  check_refused(
      [](auto& c) { c.exclude_outbound_for_uids = {{.uids = {{.first = 2, .last = 1}}}}; });
  check_refused(
      [](auto& c) { c.exclude_outbound_for_uids = {{.protocol = Protocol::icmp, .uids = {{}}}}; });
  check_refused([](auto& c) {
    c.include_owner_groups = {.all = false,
                              .list = std::vector<std::uint32_t>(owner_group_limit + 1)};
  });
}

TEST_CASE("recognition: other values that no setting has", "[recognition]") {
  check_refused([](auto& c) { c.exclude_interfaces = {"eth+"}; });
  check_refused([](auto& c) { c.ipv4_loopback = parse_cidr("10.0.0.0/8"); });
  for (const std::uint32_t mark : {0U, outbound_mark}) {
    check_refused([&](auto& c) {
      c.mode = InterceptionMode::tproxy;
      c.tproxy_mark = mark;
    });
  }
  check_refused([](auto& c) {
    c.mode = InterceptionMode::tproxy;
    c.tproxy_table = 254;
  });
}

std::size_t without_jumps(Family family, Table table) {
  CAPTURE(to_string(family), to_string(table));
  const char* outbound = table == Table::raw ? "ISTIO_OUTPUT_DNS" : "ISTIO_OUTPUT";
  const char* inbound = table == Table::filter ? "INPUT" : "PREROUTING";
  const std::size_t damaged = check_damaged(
      [&](Interception& live) { return erase_jump(live, family, table, "OUTPUT", outbound); });
  return damaged + check_damaged([&](Interception& live) {
           return erase_jump(live, family, table, inbound, "ISTIO_INBOUND");
         });
}

TEST_CASE("recognition: a jump to our chains that is gone", "[recognition]") {
  for (const Table table : all_tables) {
    const std::size_t damaged =
        without_jumps(Family::ipv4, table) + without_jumps(Family::ipv6, table);
    CHECK(damaged >= (table == Table::nat ? 300 : 20));
  }
}

TEST_CASE("recognition: a catch-all that is gone", "[recognition]") {
  for (const Family family : families) {
    CAPTURE(to_string(family));
    const auto without = [&](Table table, const char* chain, const char* target) {
      return check_damaged(
          [=](Interception& live) { return erase_jump(live, family, table, chain, target); });
    };
    CHECK(without(Table::nat, "ISTIO_INBOUND", "ISTIO_IN_REDIRECT") >= 60);
    CHECK(without(Table::mangle, "ISTIO_INBOUND", "ISTIO_TPROXY") >= 10);
    // In one family of two.
    CHECK(without(Table::nat, "ISTIO_OUTPUT", "ISTIO_REDIRECT") >= 60);
  }
}

// Not damage that can be seen: another configuration's rules are the same.
TEST_CASE("recognition: without the last rule of ISTIO_OUTPUT no CIDR is included",
          "[recognition]") {
  Interception live = interception({}, {});
  REQUIRE(erase_jump(live, Family::ipv4, Table::nat, "ISTIO_OUTPUT", "ISTIO_REDIRECT"));
  const auto found = recognise(live);
  REQUIRE(found);
  CHECK(found->include_outbound_cidrs == Selection<Cidr>{.all = false});
}

std::size_t with_top(Family family, const std::string& chain, const Target& target) {
  CAPTURE(target.index(), to_string(family), chain);
  return check_damaged([&](Interception& live) {
    std::vector<Rule>* rules = find_rules(live, family, Table::nat, chain);
    if (rules != nullptr) rules->insert(rules->begin(), {.target = target});
    return rules != nullptr;
  });
}

TEST_CASE("recognition: everything leaves a chain of ours at its top", "[recognition]") {
  const std::vector<Target> targets{Return{}, Accept{}};
  for (const Target& target : targets) {
    for (const char* chain :
         {"ISTIO_OUTPUT", "ISTIO_INBOUND", "ISTIO_REDIRECT", "ISTIO_IN_REDIRECT"}) {
      CHECK(with_top(Family::ipv4, chain, target) + with_top(Family::ipv6, chain, target) >= 200);
    }
    CHECK(with_top(Family::ipv4, "ISTIO_OUTPUT_DNS", target) >= 10);
  }
}

// Whether IPv6 is still there where nat is gone: else `never` would write what is left.
bool leaves_ipv6(Interception& live) {
  const Ruleset* ruleset = find_family(live, Family::ipv6);
  return !live.loopback_addresses.empty() || (ruleset != nullptr && !ruleset->tables.empty());
}

std::size_t without_table(Family family, Table table) {
  CAPTURE(to_string(family), to_string(table));
  return check_damaged([&](Interception& live) {
    return erase_table(live, family, table) && (family == Family::ipv4 || leaves_ipv6(live));
  });
}

TEST_CASE("recognition: a table that is gone", "[recognition]") {
  for (const Family family : families) {
    CHECK(without_table(family, Table::raw) >= 20);
    CHECK(without_table(family, Table::nat) >= 80);
  }
}

}  // namespace
}  // namespace sluice

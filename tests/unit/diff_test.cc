// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/diff.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "rules/redirect.h"
#include "tests/unit/tables.h"

namespace sluice {
namespace {

using Texts = std::vector<std::string>;

const Texts rules{"-A PREROUTING -p tcp -j ISTIO_INBOUND", "-A OUTPUT -j ISTIO_OUTPUT",
                  "-A ISTIO_INBOUND -p tcp -j RETURN", "-A ISTIO_OUTPUT -o lo -j RETURN",
                  "-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN"};
const Texts chains{"ISTIO_INBOUND", "ISTIO_OUTPUT"};

Texts lines(const std::vector<Difference>& differences) {
  Texts all;
  for (const Difference& difference : differences) all.push_back(to_string(difference));
  return all;
}

Texts differences(const TableRules& wanted, const TableRules& live) {
  return lines(diff(ruleset_with(wanted), ruleset_with(live)));
}

TEST_CASE("diff: the same rules are no difference", "[diff]") {
  const TableRules table = table_with(rules, chains);
  CHECK(diff(ruleset_with(table), ruleset_with(table)).empty());
  CHECK(diff(Ruleset{}, Ruleset{}).empty());
  CHECK(owns_exactly(table, table));
}

TEST_CASE("diff: declaration order, policies and empty built-in chains mean nothing", "[diff]") {
  const TableRules wanted = table_with(rules, chains);
  TableRules live = wanted;
  std::reverse(live.chains.begin(), live.chains.end());
  find_chain(live, "OUTPUT")->policy = Policy::drop;
  CHECK(differences(wanted, live).empty());
  CHECK(owns_exactly(live, wanted));
  const auto is_empty = [](const Chain& chain) { return chain.policy && chain.rules.empty(); };
  live.chains.erase(std::remove_if(live.chains.begin(), live.chains.end(), is_empty),
                    live.chains.end());
  REQUIRE(live.chains.size() < wanted.chains.size());
  CHECK(differences(wanted, live).empty());
  CHECK(differences(live, wanted).empty());
  CHECK(owns_exactly(live, wanted));
}

TEST_CASE("diff: a missing rule and an unexpected one", "[diff]") {
  const TableRules all = table_with(rules, chains);
  Texts fewer = rules;
  fewer.erase(fewer.begin() + 3);
  const TableRules some = table_with(fewer, chains);
  CHECK(diff(ruleset_with(all), ruleset_with(some)) ==
        std::vector<Difference>{{.kind = DifferenceKind::missing_rule,
                                 .family = Family::ipv4,
                                 .table = Table::nat,
                                 .chain = "ISTIO_OUTPUT",
                                 .text = "-A ISTIO_OUTPUT -o lo -j RETURN"}});
  CHECK(differences(all, some) == Texts{"missing: IPv4 nat: -A ISTIO_OUTPUT -o lo -j RETURN"});
  CHECK(differences(some, all) == Texts{"unexpected: IPv4 nat: -A ISTIO_OUTPUT -o lo -j RETURN"});
  CHECK_FALSE(owns_exactly(some, all));
  CHECK_FALSE(owns_exactly(all, some));
}

TEST_CASE("diff: neighbours' order and how they overlap mean nothing", "[diff]") {
  const auto list = [](const Texts& ports) {
    Texts all;
    for (const std::string& port : ports) {
      all.push_back("-A ISTIO_OUTPUT -p tcp -m tcp --dport " + port + " -j RETURN");
    }
    return table_with(all, {"ISTIO_OUTPUT"});
  };
  const auto rule = [](const std::string& port) {
    return "IPv4 nat: -A ISTIO_OUTPUT -p tcp -m tcp --dport " + port + " -j RETURN";
  };
  CHECK(differences(list({"80", "81", "90"}), list({"90", "80:81", "80"})).empty());
  CHECK_FALSE(owns_exactly(list({"81", "80"}), list({"80", "81"})));
  // The form that has less to say.
  CHECK(differences(list({"81", "80", "90"}), list({"80:81"})) == Texts{"missing: " + rule("90")});
  CHECK(differences(list({"81", "80"}), list({"80", "81", "82"})) ==
        Texts{"unexpected: " + rule("82")});
}

TEST_CASE("diff: of rules in another order, one whose place matters is named", "[diff]") {
  const Texts lines{"-A ISTIO_OUTPUT -d 10.0.0.0/8 -j RETURN",
                    "-A ISTIO_OUTPUT -d 8.0.0.0/8 -j RETURN", "-A ISTIO_OUTPUT -o a -j RETURN",
                    "-A ISTIO_OUTPUT -j ACCEPT"};
  const TableRules wanted = table_with(lines, {"ISTIO_OUTPUT"});
  const TableRules live = table_with({lines[1], lines[0], lines[3], lines[2]}, {"ISTIO_OUTPUT"});
  CHECK(differences(wanted, live) == Texts{"out of order: IPv4 nat: " + lines[3]});
}

TEST_CASE("diff: a rule in a built-in chain", "[diff]") {
  const TableRules all = table_with(rules, chains);
  const TableRules some = table_with(Texts(rules.begin() + 1, rules.end()), chains);
  CHECK(differences(all, some) ==
        Texts{"missing: IPv4 nat: -A PREROUTING -p tcp -j ISTIO_INBOUND"});
  CHECK(differences(some, all) ==
        Texts{"unexpected: IPv4 nat: -A PREROUTING -p tcp -j ISTIO_INBOUND"});
  CHECK_FALSE(owns_exactly(some, all));
  CHECK_FALSE(owns_exactly(all, some));
}

TEST_CASE("diff: a rule that stands too often", "[diff]") {
  Texts twice = rules;
  twice.push_back(rules[3]);
  const TableRules once = table_with(rules, chains);
  CHECK(differences(once, table_with(twice, chains)) == Texts{"unexpected: IPv4 nat: " + rules[3]});
  CHECK(differences(table_with(twice, chains), once) == Texts{"missing: IPv4 nat: " + rules[3]});
  CHECK_FALSE(owns_exactly(table_with(twice, chains), once));
}

TEST_CASE("diff: one changed rule is one missing and one unexpected", "[diff]") {
  Texts changed = rules;
  changed[3] = "-A ISTIO_OUTPUT -o eth0 -j RETURN";
  CHECK(differences(table_with(rules, chains), table_with(changed, chains)) ==
        Texts{"missing: IPv4 nat: " + rules[3], "unexpected: IPv4 nat: " + changed[3]});
}

TEST_CASE("diff: rules in another order", "[diff]") {
  Texts swapped = rules;
  std::swap(swapped[3], swapped[4]);
  const TableRules wanted = table_with(rules, chains);
  const TableRules live = table_with(swapped, chains);
  CHECK(diff(ruleset_with(wanted), ruleset_with(live)) ==
        std::vector<Difference>{{.kind = DifferenceKind::misplaced_rule,
                                 .family = Family::ipv4,
                                 .table = Table::nat,
                                 .chain = "ISTIO_OUTPUT",
                                 .text = rules[4]}});
  CHECK(differences(wanted, live) == Texts{"out of order: IPv4 nat: " + rules[4]});
  CHECK_FALSE(owns_exactly(live, wanted));
}

TEST_CASE("diff: a chain that is missing or not expected, with its rules", "[diff]") {
  const TableRules all = table_with(rules, chains);
  const TableRules some =
      table_with({rules[0], rules[1], rules[3], rules[4]}, {"ISTIO_OUTPUT", "ISTIO_INBOUND"});
  TableRules without = some;
  std::erase_if(without.chains, [](const Chain& chain) { return chain.name == "ISTIO_INBOUND"; });
  CHECK(differences(all, without) ==
        Texts{"missing: IPv4 nat: -N ISTIO_INBOUND", "missing: IPv4 nat: " + rules[2]});
  CHECK(differences(without, all) ==
        Texts{"unexpected: IPv4 nat: -N ISTIO_INBOUND", "unexpected: IPv4 nat: " + rules[2]});
  // An empty chain of ours is something, other than an empty built-in chain.
  CHECK(differences(some, without) == Texts{"missing: IPv4 nat: -N ISTIO_INBOUND"});
  CHECK(differences(without, some) == Texts{"unexpected: IPv4 nat: -N ISTIO_INBOUND"});
  CHECK_FALSE(owns_exactly(without, some));
  CHECK_FALSE(owns_exactly(some, without));
}

TEST_CASE("diff: tables are compared in the order of their hooks", "[diff]") {
  Ruleset wanted{.family = Family::ipv6};
  for (const Table table : {Table::filter, Table::nat, Table::mangle, Table::raw}) {
    wanted.tables.push_back(table_with({"-A OUTPUT -p tcp -j RETURN"}, {}, table));
  }
  CHECK(lines(diff(wanted, {.family = Family::ipv6})) ==
        Texts{"missing: IPv6 raw: -A OUTPUT -p tcp -j RETURN",
              "missing: IPv6 mangle: -A OUTPUT -p tcp -j RETURN",
              "missing: IPv6 nat: -A OUTPUT -p tcp -j RETURN",
              "missing: IPv6 filter: -A OUTPUT -p tcp -j RETURN"});
}

TEST_CASE("diff: foreign rules in the live table are not ours to compare", "[diff]") {
  const TableRules wanted = table_with(rules, chains);
  Texts mixed{"-A PREROUTING -i eth9 -j RETURN"};
  mixed.insert(mixed.end(), rules.begin(), rules.end());
  mixed.insert(mixed.end(), {"-A OUTPUT -j DOCKER", "-A DOCKER -j RETURN"});
  const TableRules live = table_with(mixed, {"DOCKER", "ISTIO_INBOUND", "ISTIO_OUTPUT"});
  CHECK(owns_exactly(live, wanted));
  CHECK(diff(Interception{.rulesets = {ruleset_with(wanted)}},
             Interception{.rulesets = {ruleset_with(live)}})
            .empty());
  // Nothing is left out of what is given as it is.
  CHECK(differences(wanted, live).size() == 4);
}

TEST_CASE("diff: foreign interface rules before what is wanted are not ours to compare", "[diff]") {
  RedirectConfig config;
  const Ruleset wanted = redirect_ruleset(config, Family::ipv4);
  config.exclude_interfaces = {"eth9"};
  const Ruleset live = redirect_ruleset(config, Family::ipv4);
  const TableRules& table = live.tables.front();
  const TableRules& asked = wanted.tables.front();
  CHECK(diff(Interception{.rulesets = {wanted}}, Interception{.rulesets = {live}}).empty());
  CHECK(owns_exactly(table, asked, &asked));
  // Without that knowledge they are.
  CHECK_FALSE(owns_exactly(table, asked));
  CHECK_FALSE(owns_exactly(table, asked, &table));
}

TEST_CASE("diff: what a tenant wrote does not break the line", "[diff]") {
  const Difference difference{.kind = DifferenceKind::unexpected_rule,
                              .text = "-A X -m comment --comment \"a\nb\xff\" -j RETURN"};
  CHECK(to_string(difference) ==
        R"(unexpected: IPv4 nat: -A X -m comment --comment "a\x0ab\xff" -j RETURN)");
}

TEST_CASE("diff: policy routes", "[diff]") {
  const TproxyRoute ipv4{.family = Family::ipv4, .mark = 1337, .table = 133};
  const TproxyRoute ipv6{.family = Family::ipv6, .mark = 0xffffffff, .table = 4294967295U};
  const Interception both{.tproxy_routes = {ipv4, ipv6}};
  CHECK(diff(both, both).empty());
  CHECK(diff(both, Interception{}) ==
        std::vector<Difference>{{.kind = DifferenceKind::missing_route,
                                 .family = Family::ipv4,
                                 .text = "fwmark 0x539 lookup 133"},
                                {.kind = DifferenceKind::missing_route,
                                 .family = Family::ipv6,
                                 .text = "fwmark 0xffffffff lookup 4294967295"}});
  CHECK(lines(diff(both, {.tproxy_routes = {ipv6}})) ==
        Texts{"missing: IPv4 route: fwmark 0x539 lookup 133"});
  CHECK(lines(diff(Interception{}, both)) ==
        Texts{"unexpected: IPv4 route: fwmark 0x539 lookup 133",
              "unexpected: IPv6 route: fwmark 0xffffffff lookup 4294967295"});
  // Each of the three parts counts.
  for (const TproxyRoute& other :
       {TproxyRoute{Family::ipv6, 1337, 133}, TproxyRoute{Family::ipv4, 1338, 133},
        TproxyRoute{Family::ipv4, 1337, 134}}) {
    CHECK(diff(Interception{.tproxy_routes = {ipv4}}, {.tproxy_routes = {other}}).size() == 2);
  }
}

TEST_CASE("diff: an IPv6 route that is not required may be missing, not different", "[diff]") {
  const TproxyRoute ipv4{.family = Family::ipv4, .mark = 1337, .table = 133};
  const TproxyRoute ipv6{.family = Family::ipv6, .mark = 1337, .table = 133};
  const TproxyRoute other{.family = Family::ipv6, .mark = 1337, .table = 134};
  const Interception wanted{.tproxy_routes = {ipv4, ipv6}, .ipv6_required = false};
  CHECK(diff(wanted, {.tproxy_routes = {ipv4}}).empty());
  CHECK(lines(diff(wanted, {.tproxy_routes = {ipv6}})) ==
        Texts{"missing: IPv4 route: fwmark 0x539 lookup 133"});
  CHECK(lines(diff(wanted, {.tproxy_routes = {ipv4, other}})) ==
        Texts{"missing: IPv6 route: fwmark 0x539 lookup 133",
              "unexpected: IPv6 route: fwmark 0x539 lookup 134"});
}

TEST_CASE("diff: addresses on lo", "[diff]") {
  const Interception with{.loopback_addresses = {parse_cidr("::6/128")}};
  const Interception without;
  CHECK(diff(with, with).empty());
  CHECK(diff(with, without) ==
        std::vector<Difference>{
            {.kind = DifferenceKind::missing_address, .family = Family::ipv6, .text = "::6/128"}});
  CHECK(lines(diff(with, without)) == Texts{"missing: address ::6/128 on lo"});
  CHECK(lines(diff(without, with)) == Texts{"unexpected: address ::6/128 on lo"});
  // The prefix length is part of what is wanted.
  CHECK(lines(diff(with, {.loopback_addresses = {parse_cidr("::6/127")}})).size() == 2);
}

TEST_CASE("diff: what is ours in a family that is not wanted", "[diff]") {
  const RedirectConfig config;
  const Ruleset ipv4 = redirect_ruleset(config, Family::ipv4);
  const Ruleset ipv6 = redirect_ruleset(config, Family::ipv6);
  const Interception both{.rulesets = {ipv4, ipv6}};
  const Interception one{.rulesets = {ipv4}};
  CHECK(diff(both, both).empty());
  CHECK_FALSE(diff(one, both).empty());
  CHECK_FALSE(diff(both, one).empty());
  for (const Difference& difference : diff(one, both)) CHECK(difference.family == Family::ipv6);
  // The order of families means nothing either.
  CHECK(diff(both, Interception{.rulesets = {ipv6, ipv4}}).empty());
}

TEST_CASE("diff: IPv6 that is not required may be absent, but not half there", "[diff]") {
  const RedirectConfig config;
  Interception wanted{
      .rulesets = {redirect_ruleset(config, Family::ipv4), redirect_ruleset(config, Family::ipv6)},
      .ipv6_required = false};
  Interception live{.rulesets = {wanted.rulesets.front()}};
  CHECK(diff(wanted, live).empty());
  // Foreign rules alone are none of it.
  live.rulesets.push_back(ruleset_with(table_with({"-A OUTPUT -o eth1 -j RETURN"}), Family::ipv6));
  CHECK(diff(wanted, live).empty());
  live.rulesets.back() = wanted.rulesets.back();
  find_chain(live.rulesets.back().tables.front(), "ISTIO_OUTPUT")->rules.pop_back();
  CHECK(lines(diff(wanted, live)) == Texts{"missing: IPv6 nat: -A ISTIO_OUTPUT -j ISTIO_REDIRECT"});
  live.rulesets = {wanted.rulesets.back()};
  CHECK_FALSE(diff(wanted, live).empty());
  wanted.ipv6_required = true;
  live.rulesets = {wanted.rulesets.front()};
  CHECK_FALSE(diff(wanted, live).empty());
}

}  // namespace
}  // namespace sluice

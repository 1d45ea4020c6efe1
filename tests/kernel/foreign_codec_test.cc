// SPDX-License-Identifier: GPL-2.0-or-later
// Rules that other programs wrote: read without harm, never mistaken for rules of the model.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rules/text.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

bool has_opaque(const Rule& rule) {
  return std::holds_alternative<Opaque>(rule.target) ||
         std::any_of(rule.matches.begin(), rule.matches.end(),
                     [](const Match& m) { return std::holds_alternative<Opaque>(m); });
}

// Loads `rules`, each in a chain F0, F1... of its own, and reads them.
std::vector<Rule> read_rules(Family family, Table table, const std::vector<std::string>& rules) {
  std::string text = std::string("*") + to_string(table) + "\n:OTHER - [0:0]\n";
  for (std::size_t i = 0; i < rules.size(); ++i) text += ":F" + std::to_string(i) + " - [0:0]\n";
  for (std::size_t i = 0; i < rules.size(); ++i) {
    text += "-A F" + std::to_string(i) + " " + rules[i] + "\n";
  }
  TestNetns netns;
  netns.restore(family, text + "COMMIT\n");
  const Interception live = netns.backend().read();
  const Ruleset& ruleset = live.rulesets.at(family == Family::ipv4 ? 0 : 1);
  const TableRules* found = find_table(ruleset, table);
  REQUIRE(found != nullptr);
  std::vector<Rule> all;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const Chain* chain = find_chain(*found, "F" + std::to_string(i));
    REQUIRE(chain != nullptr);
    REQUIRE(chain->rules.size() == 1);
    all.push_back(chain->rules.front());
  }
  return all;
}

void check_opaque(Family family, Table table, const std::vector<std::string>& texts) {
  const std::vector<Rule> rules = read_rules(family, table, texts);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    INFO(to_string(family) << ' ' << to_string(table) << ": " << texts[i] << " is read as "
                           << to_string("F", rules[i]));
    CHECK(has_opaque(rules[i]));
  }
}

TEST_CASE("foreign rules that the model has no words for are opaque") {
  const std::vector<std::string> any{
      R"(-m comment --comment "a \"quoted\" comment" -j RETURN)",
      "-m conntrack --ctstate DNAT -j DROP",
      "-m conntrack ! --ctstate NEW,SNAT -j DROP",
      "-m conntrack --ctstate NEW --ctproto 6 -j RETURN",
      "-m conntrack --ctproto 6 -j RETURN",
      "-m state --state NEW -j RETURN",
      "-p tcp -m multiport --sports 80 -j RETURN",
      "-p tcp -m multiport --ports 80,443,8000:8100 -j RETURN",
      "! -p tcp -j RETURN",
      "-p tcp -m tcp --tcp-option 5 -j RETURN",
      "-p tcp -m tcp ! --tcp-option 5 -j RETURN",
      "-m owner --socket-exists -j RETURN",
      "-m owner ! --socket-exists -j RETURN",
      "-m owner --uid-owner 1337 --gid-owner 7 --suppl-groups -j RETURN",
      "-j LOG --log-prefix \"dropped: \"",
      "-j QUEUE",
      "-j NFQUEUE --queue-num 3",
      "-p tcp",
      "-p 0",
      "-m statistic --mode random --probability 0.5 -j RETURN",
      "-j NFLOG --nflog-size 64",
      "-j NFLOG --nflog-threshold 2",
      "-j NFLOG --nflog-prefix \"a\tb\"",
      "-j NFLOG --nflog-prefix \"\x1b[31m\"",
      "-j NFLOG --nflog-prefix \"\x7f\"",
  };
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    for (const Table table : {Table::mangle, Table::filter}) check_opaque(family, table, any);
  }
}

TEST_CASE("foreign rules of one family or one table are opaque") {
  check_opaque(
      Family::ipv4, Table::filter,
      {"-f -j DROP", "! -f -j DROP", "-s 10.0.0.1/255.0.0.255 -j DROP",
       "! -d 10.0.0.0/0.255.255.255 -j DROP", "-p icmp -m icmp --icmp-type 8 -j ACCEPT",
       "-p tcp -j REJECT --reject-with icmp-host-unreachable", "-m ttl --ttl-eq 1 -j DROP"});
  check_opaque(Family::ipv6, Table::filter,
               {"-s fd00::1/ffff::ffff -j DROP", "-m frag --fragid 1 -j DROP",
                "-p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT",
                "-p tcp -j REJECT --reject-with icmp6-adm-prohibited", "-m eui64 -j DROP"});
  const std::vector<std::string> nat{"-p tcp -j REDIRECT --to-ports 80-90",
                                     "-p tcp -j REDIRECT --to-ports 80 --random",
                                     "-p tcp -j REDIRECT",
                                     "-j MASQUERADE",
                                     "-p tcp -j MASQUERADE --to-ports 1-2",
                                     "-p tcp -j SNAT --to-source :1-2"};
  check_opaque(Family::ipv4, Table::nat, nat);
  check_opaque(Family::ipv6, Table::nat, nat);
  check_opaque(Family::ipv4, Table::nat,
               {"-p tcp -j DNAT --to-destination 10.0.0.1:80", "-j NETMAP --to 10.0.0.0/8"});
  check_opaque(Family::ipv6, Table::nat, {"-p tcp -j DNAT --to-destination [fd00::1]:80"});
}

TEST_CASE("foreign marks and zones that the model has no words for are opaque") {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    check_opaque(family, Table::mangle,
                 {"-j CONNMARK --set-mark 1", "-j CONNMARK --save-mark --mask 0xff",
                  "-j CONNMARK --save-mark --nfmask 0xff --ctmask 0xffffffff",
                  "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xff",
                  "-j CONNMARK --save-mark --left-shift-mark 2",
                  "-j CONNMARK --restore-mark --right-shift-mark 2"});
    check_opaque(family, Table::raw,
                 {"-j CT --notrack", "-j NOTRACK", "-j CT --zone mark", "-j CT --zone-orig 1",
                  "-j CT --zone-reply 1", "-j CT --zone 1 --ctevents new",
                  "-j CT --zone 1 --expevents new"});
  }
}

TEST_CASE("of a foreign rule, what the model does know is read all the same") {
  const std::vector<Rule> rules = read_rules(
      Family::ipv4, Table::nat,
      {"-s 10.0.0.0/8 ! -i eth+ -p tcp -m comment --comment x -m tcp --dport 80 -j OTHER",
       "-p tcp -m tcp --dport 22 -j REDIRECT --to-ports 2222",
       "-p udp -m udp ! --sport 53 -j ACCEPT", "-p icmp -g OTHER"});
  Rule first{.source = AddressMatch{.cidr = parse_cidr("10.0.0.0/8")},
             .in = Interface{.name = "eth+", .negated = true},
             .protocol = Protocol::tcp,
             .matches = {Tcp{.destination = PortMatch{.ports = {80, 80}}}},
             .target = Jump{"OTHER"}};
  REQUIRE(rules[0].matches.size() == 2);
  first.matches.insert(first.matches.begin(), rules[0].matches.front());
  CHECK(rules[0] == first);
  CHECK(rules[1] == Rule{.protocol = Protocol::tcp,
                         .matches = {Tcp{.destination = PortMatch{.ports = {22, 22}}}},
                         .target = Redirect{2222}});
  CHECK(rules[2] == Rule{.protocol = Protocol::udp,
                         .matches = {Udp{.source = PortMatch{.ports = {53, 53}, .negated = true}}},
                         .target = Accept{}});
  CHECK(rules[3] ==
        Rule{.protocol = Protocol::icmp, .target = Jump{.chain = "OTHER", .go_to = true}});
}

TEST_CASE("a negated protocol is not taken for the protocol") {
  const std::vector<Rule> rules =
      read_rules(Family::ipv4, Table::filter, {"! -p tcp -j RETURN", "-p tcp -j RETURN"});
  CHECK(rules[0] != rules[1]);
}

TEST_CASE("policies and empty chains are read") {
  TestNetns netns;
  netns.must({"iptables-legacy", "-P", "FORWARD", "DROP"});
  netns.must({"iptables-legacy", "-N", "EMPTY"});
  const Interception live = netns.backend().read();
  const Ruleset expected{.family = Family::ipv4,
                         .tables = {{.table = Table::filter,
                                     .chains = {{.name = "INPUT", .policy = Policy::accept},
                                                {.name = "FORWARD", .policy = Policy::drop},
                                                {.name = "OUTPUT", .policy = Policy::accept},
                                                {.name = "EMPTY"}}}}};
  CHECK(live.rulesets.at(0) == expected);
  CHECK(live.rulesets.at(1) == Ruleset{.family = Family::ipv6});
}

}  // namespace
}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/canonical.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "rules/redirect.h"
#include "rules/text.h"
#include "tests/random_config.h"
#include "tests/random_rules.h"
#include "tests/unit/golden_live.h"
#include "tests/unit/tables.h"

namespace sluice {
namespace {

using Texts = std::vector<std::string>;

// What becomes of rules of ISTIO_OUTPUT, without `-A ISTIO_OUTPUT`.
Texts canonical_texts(const Texts& rules, Table table = Table::nat) {
  Texts lines;
  for (const std::string& rule : rules) lines.push_back("-A ISTIO_OUTPUT " + rule);
  const TableRules before = table_with(lines, {"ISTIO_OUTPUT"}, table);
  Texts texts;
  for (const Rule& rule : canonical(find_chain(before, "ISTIO_OUTPUT")->rules)) {
    texts.push_back(to_string("", rule).substr(std::string("-A  ").size()));
  }
  return texts;
}

std::vector<Cidr> cidrs(const Texts& texts) {
  std::vector<Cidr> list;
  for (const std::string& text : texts) list.push_back(parse_cidr(text));
  return list;
}

TEST_CASE("canonical: port ranges that overlap or adjoin are one", "[canonical]") {
  using Ports = std::vector<PortRange>;
  CHECK(merged(Ports{}).empty());
  CHECK(merged(Ports{{80, 90}, {10, 20}, {21, 21}, {85, 95}, {12, 13}}) ==
        Ports{{10, 21}, {80, 95}});
  CHECK(merged(Ports{{80, 80}, {82, 82}}) == Ports{{80, 80}, {82, 82}});
  CHECK(merged(Ports{{65535, 65535}, {0, 0}, {65535, 65535}}) == Ports{{0, 0}, {65535, 65535}});
  CHECK(merged(Ports{{0, 65535}, {65535, 65535}, {1, 1}}) == Ports{{0, 65535}});
}

TEST_CASE("canonical: CIDRs become the fewest that hold the same", "[canonical]") {
  CHECK(merged(std::vector<Cidr>{}).empty());
  CHECK(merged(cidrs({"10.128.0.0/9", "10.0.0.0/9", "10.1.2.3/32", "9.0.0.0/8"})) ==
        cidrs({"9.0.0.0/8", "10.0.0.0/8"}));
  CHECK(merged(cidrs({"10.0.0.3/32", "10.0.0.1/32", "10.0.0.2/32", "10.0.0.0/32"})) ==
        cidrs({"10.0.0.0/30"}));
  // Neighbours that are no halves of one prefix.
  CHECK(merged(cidrs({"10.0.0.1/32", "10.0.0.2/32"})) == cidrs({"10.0.0.1/32", "10.0.0.2/32"}));
  CHECK(merged(cidrs({"0.0.0.0/1", "128.0.0.0/1", "0.0.0.0/0"})) == cidrs({"0.0.0.0/0"}));
  CHECK(merged(cidrs({"::1/128", "::/128", "fd00::/8"})) == cidrs({"::/127", "fd00::/8"}));
}

TEST_CASE("canonical: a run of ports is sorted and merged, pairs stay pairs", "[canonical]") {
  CHECK(
      canonical_texts({"-p tcp -m tcp --dport 443 -j RETURN", "-p udp -m udp --dport 443 -j RETURN",
                       "-p tcp -m tcp --dport 81 -j RETURN", "-p udp -m udp --dport 81 -j RETURN",
                       "-p tcp -m tcp --dport 80 -j RETURN"}) ==
      Texts{"-p tcp -m tcp --dport 80:81 -j RETURN", "-p udp -m udp --dport 81 -j RETURN",
            "-p tcp -m tcp --dport 443 -j RETURN", "-p udp -m udp --dport 443 -j RETURN"});
  CHECK(canonical_texts({"-p tcp -m multiport --dports 443,80,1000:2000 -j ACCEPT"}) ==
        Texts{"-p tcp -m tcp --dport 80 -j ACCEPT", "-p tcp -m tcp --dport 443 -j ACCEPT",
              "-p tcp -m tcp --dport 1000:2000 -j ACCEPT"});
}

TEST_CASE("canonical: a run of addresses is sorted and merged", "[canonical]") {
  CHECK(canonical_texts({"-d 10.1.0.0/16 -j RETURN", "-d 10.0.0.0/16 -j RETURN",
                         "-d 9.0.0.0/8 -j RETURN", "-d 9.1.0.0/16 -j RETURN"}) ==
        Texts{"-d 9.0.0.0/8 -j RETURN", "-d 10.0.0.0/15 -j RETURN"});
  CHECK(canonical_texts({"-s 10.1.0.0/16 -p tcp -j DROP", "-s 10.0.0.0/16 -p tcp -j DROP"}) ==
        Texts{"-s 10.0.0.0/15 -p tcp -j DROP"});
  // Without a destination the rule would be of no run.
  CHECK(canonical_texts({"-d 128.0.0.0/1 -j DROP", "-d 0.0.0.0/1 -j DROP"}) ==
        Texts{"-d 0.0.0.0/1 -j DROP", "-d 128.0.0.0/1 -j DROP"});
}

TEST_CASE("canonical: what is no run stays in its order", "[canonical]") {
  const std::vector<Texts> kept{
      // another target, another interface, another owner
      {"-d 10.1.0.0/16 -j RETURN", "-d 10.0.0.0/16 -j ACCEPT"},
      {"-d 10.1.0.0/16 -i b -j RETURN", "-d 10.0.0.0/16 -i a -j RETURN"},
      {"-p tcp -m tcp --dport 81 -m owner --uid-owner 2 -j RETURN",
       "-p tcp -m tcp --dport 80 -m owner --uid-owner 1 -j RETURN"},
      // two parts
      {"-d 10.1.0.0/16 -p tcp -m tcp --dport 81 -j RETURN",
       "-d 10.0.0.0/16 -p tcp -m tcp --dport 80 -j RETURN"},
      // negated
      {"! -d 10.1.0.0/16 -j RETURN", "! -d 10.0.0.0/16 -j RETURN"},
      {"-p tcp -m tcp ! --dport 81 -j RETURN", "-p tcp -m tcp ! --dport 80 -j RETURN"},
      // source ports and flags
      {"-p tcp -m tcp --sport 81 -j RETURN", "-p tcp -m tcp --sport 80 -j RETURN"},
      {"-p tcp -m tcp --dport 81 --tcp-flags SYN SYN -j RETURN",
       "-p udp -m udp --dport 80 -j RETURN"},
      // everything: it matches what the others do not
      {"-d 10.1.0.0/16 -j RETURN", "-j RETURN", "-d 10.0.0.0/16 -j RETURN"},
      // one that counts
      {"-d 10.1.0.0/16 -m limit --limit 10/sec -j RETURN",
       "-d 10.0.0.0/16 -m limit --limit 10/sec -j RETURN"},
      {"-m limit --limit 10/sec -m owner --uid-owner 1 -j RETURN"},
      // targets that do something each time
      {"-d 10.1.0.0/16 -j NFLOG --nflog-group 3", "-d 10.0.0.0/16 -j NFLOG --nflog-group 3"},
      // what the model does not know
      {"-d 10.1.0.0/16 -m comment --comment a -j RETURN",
       "-d 10.0.0.0/16 -m comment --comment a -j RETURN"},
      // equal rules without a part that may vary
      {"-i a -j RETURN", "-i a -j RETURN"}};
  for (const Texts& rules : kept) CHECK(canonical_texts(rules) == rules);
}

TEST_CASE("canonical: the matches of a rule have one order", "[canonical]") {
  CHECK(canonical_texts(
            {"-p tcp -m multiport ! --dports 15008,53 -m owner --uid-owner 1 -j RETURN"}) ==
        Texts{"-p tcp -m owner --uid-owner 1 -m multiport ! --dports 53,15008 -j RETURN"});
  CHECK(
      canonical_texts({"-p tcp -m multiport ! --dports 54,53 -m owner --uid-owner 1 -j RETURN"}) ==
      Texts{"-p tcp -m tcp ! --dport 53:54 -m owner --uid-owner 1 -j RETURN"});
  CHECK(canonical_texts({"-p udp -m multiport ! --dports 5 -m udp ! --dport 7 -j RETURN"}) ==
        Texts{"-p udp -m multiport ! --dports 5,7 -j RETURN"});
  CHECK(canonical_texts({"-p tcp -m tcp --dport 5:9 -m multiport ! --dports 7 -j RETURN"}) ==
        Texts{"-p tcp -m tcp --dport 5:9 -m multiport ! --dports 7 -j RETURN"});
  CHECK(canonical_texts({"-m mark --mark 0x1 -m owner --uid-owner 1 -j RETURN"}) ==
        Texts{"-m owner --uid-owner 1 -m mark --mark 0x1 -j RETURN"});
}

TEST_CASE("canonical: tables and chains have one order, empty ones are left out", "[canonical]") {
  TableRules table = table_with({"-A OUTPUT -j B", "-A PREROUTING -j B"}, {"B", "A"});
  std::reverse(table.chains.begin(), table.chains.end());
  const TableRules empty = table_with({}, {}, Table::filter);
  const TableRules raw = table_with({"-A OUTPUT -j RETURN"}, {}, Table::raw);
  const Ruleset result = canonical(Ruleset{.tables = {empty, table, raw}});
  REQUIRE(result.tables.size() == 2);
  CHECK(result.tables[0].table == Table::raw);
  Texts names;
  for (const Chain& chain : result.tables[1].chains) names.push_back(chain.name);
  CHECK(names == Texts{"PREROUTING", "OUTPUT", "A", "B"});
}

TEST_CASE("canonical: a merged range keeps the origin of where it begins", "[canonical]") {
  const auto rule = [](std::uint16_t port, std::string_view origin) {
    return Rule{.protocol = Protocol::tcp,
                .matches = {Tcp{.destination = PortMatch{.ports = {port, port}}}},
                .origin = {origin}};
  };
  const std::vector<Rule> rules = canonical({rule(91, "c"), rule(80, "b"), rule(90, "a")});
  REQUIRE(rules.size() == 2);
  CHECK(rules[0].origin.text == "b");
  CHECK(rules[1].origin.text == "a");
}

// ---- laws

TEST_CASE("property: canonical form is a fixed point", "[property][canonical]") {
  const std::uint64_t seed = random_seed();
  RandomConfig configs(seed);
  RandomRules rules(seed);
  for (int run = 0; run < 250; ++run) {
    CAPTURE(seed, run);
    const RedirectConfig config = configs.next();
    for (const Family family : families) {
      const Ruleset once = canonical(redirect_ruleset(config, family));
      CHECK(canonical(once) == once);
    }
    const std::vector<Rule> once = canonical(rules.chain(30));
    INFO(to_save(ruleset_with({.chains = {{.name = "X", .rules = once}}})));
    CHECK(canonical(once) == once);
  }
  for (const GoldenLive& golden : golden_lives()) {
    for (const Ruleset& ruleset : golden.live.rulesets) {
      CHECK(canonical(canonical(ruleset)) == canonical(ruleset));
    }
  }
}

TEST_CASE("property: canonical rules do the same to every packet", "[property][canonical]") {
  const std::uint64_t seed = random_seed();
  RandomRules random(seed);
  int changed = 0;
  int matched = 0;
  for (int run = 0; run < 400; ++run) {
    const std::vector<Rule> before = random.chain(12);
    const std::vector<Rule> after = canonical(before);
    changed += before == after ? 0 : 1;
    CAPTURE(seed, run);
    INFO(to_save(ruleset_with({.chains = {{.name = "X", .rules = before}}})));
    INFO(to_save(ruleset_with({.chains = {{.name = "X", .rules = after}}})));
    for (int i = 0; i < 100; ++i) {
      const TestPacket packet = random.packet();
      const std::string fate = fate_of(packet, before);
      matched += fate.empty() ? 0 : 1;
      CHECK(fate_of(packet, after) == fate);
    }
  }
  // Else the law holds for want of cases.
  CHECK(changed > 200);
  CHECK(matched > 4000);
}

// A hundred times as much may take a thousand times as long, not ten thousand times.
TEST_CASE("canonical: time grows with the number of rules", "[canonical]") {
  const auto seconds = [](std::size_t count) {
    std::vector<Rule> rules;
    for (std::size_t i = 0; i < count; ++i) {
      const auto n = static_cast<std::uint32_t>((count - i) * 2);
      IpAddress address;
      address.bytes = {10, static_cast<std::uint8_t>(n >> 16U), static_cast<std::uint8_t>(n >> 8U),
                       static_cast<std::uint8_t>(n)};
      rules.push_back({.destination = AddressMatch{.cidr = make_cidr(address, 32)}});
    }
    const auto start = std::chrono::steady_clock::now();
    CHECK(canonical(std::move(rules)).size() == count);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  CHECK(seconds(100'000) < 1000 * std::max(seconds(1'000), 0.0005));
}

}  // namespace
}  // namespace sluice

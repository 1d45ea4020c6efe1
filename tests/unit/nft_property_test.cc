// SPDX-License-Identifier: GPL-2.0-or-later
// nf_tables' form: what is read, which may be anybody's, and laws. A failure prints its seed.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "rules/canonical.h"
#include "rules/nft/translate.h"
#include "rules/ownership.h"
#include "rules/redirect.h"
#include "tests/random_config.h"
#include "tests/random_rules.h"
#include "tests/unit/golden_live.h"

namespace sluice::nft {
namespace {

std::vector<Ruleset> both_canonical(const std::vector<Ruleset>& rulesets) {
  std::vector<Ruleset> both{{.family = Family::ipv4}, {.family = Family::ipv6}};
  for (const Ruleset& ruleset : rulesets) {
    both[ruleset.family == Family::ipv4 ? 0 : 1] = canonical(ruleset);
  }
  return both;
}

// ---- what is read may be anybody's

Table with_rules(std::vector<Rule> rules, std::vector<Set> sets) {
  return {.sets = std::move(sets), .chains = {{.name = "X", .rules = std::move(rules)}}};
}

std::size_t count_opaque(const std::vector<Ruleset>& rulesets) {
  std::size_t count = 0;
  for (const Ruleset& ruleset : rulesets) {
    for (const TableRules& table : ruleset.tables) {
      for (const sluice::Chain& chain : table.chains) {
        for (const sluice::Rule& rule : chain.rules) {
          count +=
              rule.matches.empty() ? 0U : rule.matches.back().index() == Match(Opaque{}).index();
        }
      }
    }
  }
  return count;
}

TEST_CASE("nft: a rule whose set cannot be had is not understood", "[nft]") {
  const Set ports{.name = "p", .ports = {{1, 1}, {3, 3}}};
  const Set ipv4{.name = "a", .family = Family::ipv4, .cidrs = {parse_cidr("10.0.0.0/8")}};
  const auto opaque = [&](Rule rule) {
    return count_opaque(from_nft(with_rules({std::move(rule)}, {ports, ipv4})));
  };
  const sluice::Rule tcp{.protocol = Protocol::tcp};
  CHECK(opaque({.rule = tcp, .port_set = "p"}) == 0);
  CHECK(opaque({.rule = tcp, .destination_set = "a"}) == 0);
  CHECK(opaque({.rule = tcp, .port_set = "q"}) == 2);
  CHECK(opaque({.rule = tcp, .port_set = "a"}) == 2);
  CHECK(opaque({.rule = tcp, .destination_set = "p"}) == 2);
  CHECK(opaque({.rule = {}, .port_set = "p"}) == 2);
  CHECK(opaque({.rule = tcp, .source_set = "a", .port_set = "p"}) == 2);
  const AddressMatch taken{.cidr = parse_cidr("10.0.0.0/8")};
  CHECK(opaque({.rule = {.destination = taken}, .destination_set = "a"}) == 1);
}

TEST_CASE("nft: a set is unfolded a few times only", "[nft]") {
  Set set{.name = "p"};
  for (std::uint16_t port = 1; port < 8000; port += 2) set.ports.push_back({port, port});
  std::vector<Rule> rules;
  for (std::uint32_t uid = 0; uid < 4000; ++uid) {
    rules.push_back(
        {.rule = {.protocol = Protocol::tcp, .matches = {Owner{.uid = OwnerRange{uid, uid}}}},
         .port_set = "p"});
  }
  const std::vector<Ruleset> rulesets = from_nft(with_rules(rules, {set}));
  CHECK(rulesets.at(0).tables.at(0).chains.at(0).rules.size() ==
        set_uses_limit * set.ports.size() + rules.size() - set_uses_limit);
}

TEST_CASE("nft: many sets are unfolded up to a limit", "[nft]") {
  std::vector<Set> sets;
  std::vector<Rule> rules;
  const std::size_t ports = 4000;
  const std::size_t fit = unfolded_limit / (2 * ports);
  for (std::size_t i = 0; i < 2 * fit; ++i) {
    Set& set = sets.emplace_back(Set{.name = "p" + std::to_string(i)});
    for (std::size_t port = 0; port < ports; ++port) {
      const auto number = static_cast<std::uint16_t>(2 * port + 1);
      set.ports.push_back({number, number});
    }
    rules.push_back(
        {.rule = {.protocol = Protocol::tcp, .target = Return{}}, .port_set = set.name});
  }
  for (const Ruleset& ruleset : from_nft(with_rules(rules, sets))) {
    const std::vector<sluice::Rule>& made = ruleset.tables.at(0).chains.at(0).rules;
    const auto opaque = std::count_if(made.begin(), made.end(), [](const sluice::Rule& rule) {
      return rule.matches.size() == 1 && std::holds_alternative<Opaque>(rule.matches[0]);
    });
    CHECK(opaque == static_cast<std::ptrdiff_t>(fit));
    CHECK(made.size() <= unfolded_limit / 2 + fit);
  }
}

TEST_CASE("nft: a rule that no packet of the family can meet is not the family's", "[nft]") {
  const AddressMatch ipv4{.cidr = parse_cidr("10.0.0.0/8")};
  const auto sizes = [](Rule rule) {
    std::vector<std::size_t> all;
    for (const Ruleset& ruleset : from_nft(with_rules({std::move(rule)}, {}))) {
      all.push_back(ruleset.tables.empty() ? 0 : ruleset.tables[0].chains.at(0).rules.size());
    }
    return all;
  };
  CHECK(sizes({.rule = {}}) == std::vector<std::size_t>{1, 1});
  CHECK(sizes({.rule = {.destination = ipv4}}) == std::vector<std::size_t>{1, 0});
  CHECK(sizes({.family = Family::ipv6}) == std::vector<std::size_t>{0, 1});
}

// ---- laws

void check_round_trip(const std::vector<Ruleset>& rulesets) {
  const Table table = to_nft(rulesets, "sluice");
  CHECK(from_nft(table) == both_canonical(rulesets));
  if (rulesets.size() > 1) return;
  for (const Chain& chain : table.chains) {
    for (const Rule& rule : chain.rules) CHECK(rule.family == rulesets.front().family);
  }
}

TEST_CASE("property: what is translated is translated back", "[property][nft]") {
  const std::uint64_t seed = random_seed();
  RandomConfig random(seed);
  for (int run = 0; run < 250; ++run) {
    CAPTURE(seed, run);
    const RedirectConfig config = random.next();
    const Ruleset ipv4 = redirect_ruleset(config, Family::ipv4);
    const Ruleset ipv6 = redirect_ruleset(config, Family::ipv6);
    check_round_trip({ipv4, ipv6});
    check_round_trip({ipv4, redirect_ruleset(config, Family::ipv6, FamilyAction::block)});
    check_round_trip({ipv4});
    check_round_trip({ipv6});
  }
  for (const GoldenLive& golden : golden_lives()) {
    CAPTURE(golden.name);
    check_round_trip(golden.live.rulesets);
  }
}

TEST_CASE("property: any rules keep their order", "[property][nft]") {
  const std::uint64_t seed = random_seed();
  RandomRules random(seed);
  for (int run = 0; run < 250; ++run) {
    CAPTURE(seed, run);
    std::vector<sluice::Rule> rules = random.chain(20);
    std::erase_if(rules, [](const sluice::Rule& rule) { return rule.source || rule.destination; });
    rules.push_back({});
    std::vector<sluice::Rule> others = rules;
    for (std::size_t i = 0; i + 1 < others.size(); i += 1 + random.below(3)) {
      std::swap(others[i], others[random.below(others.size())]);
    }
    const auto chain = [](Family family, const std::vector<sluice::Rule>& list) {
      return Ruleset{.family = family, .tables = {{.chains = {{.name = "X", .rules = list}}}}};
    };
    check_round_trip({chain(Family::ipv4, rules), chain(Family::ipv6, others)});
  }
}

// By which a table is known whatever it is called.
TEST_CASE("nft: every table that is written has a chain of ours and none of others", "[nft]") {
  const std::uint64_t seed = random_seed();
  RandomConfig random(seed);
  for (int run = 0; run < 250; ++run) {
    CAPTURE(seed, run);
    const RedirectConfig config = random.next();
    const Table table = to_nft(
        {redirect_ruleset(config, Family::ipv4), redirect_ruleset(config, Family::ipv6)}, "other");
    bool has_ours = table.chains.empty();
    for (const Chain& chain : table.chains) {
      CHECK(is_written({.table = chain.table, .chain = chain.name}));
      has_ours = has_ours || is_owned_chain(chain.name);
    }
    CHECK(has_ours);
  }
}

// Lists as long as the settings let them be. The bound is a hundred times what it takes.
TEST_CASE("nft: long lists are quick", "[nft]") {
  RedirectConfig config;
  config.exclude_outbound_ports.emplace();
  for (std::uint16_t i = 1; i <= 8192; ++i) {
    const auto low = static_cast<std::uint8_t>(i);
    const auto high = static_cast<std::uint8_t>(i >> 8U);
    const auto port = static_cast<std::uint16_t>(i * 3);
    IpAddress ipv4;
    ipv4.bytes = {10, high, low, 0};
    IpAddress ipv6{.family = Family::ipv6};
    ipv6.bytes = {0xfd, 0, high, low, 1};
    config.exclude_outbound_cidrs.push_back(make_cidr(ipv4, 25));
    config.exclude_outbound_cidrs.push_back(make_cidr(ipv6, 40));
    config.exclude_outbound_ports->push_back({port, port});
  }
  const std::vector<Ruleset> rulesets{redirect_ruleset(config, Family::ipv4),
                                      redirect_ruleset(config, Family::ipv6)};
  const auto start = std::chrono::steady_clock::now();
  const Table table = to_nft(rulesets, "sluice");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  CHECK(table.sets.size() == 4);
  CHECK(took.count() < 10);
}

}  // namespace
}  // namespace sluice::nft

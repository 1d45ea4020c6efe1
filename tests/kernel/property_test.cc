// SPDX-License-Identifier: GPL-2.0-or-later
// What holds for every configuration: apply makes it so, the next apply replaces it, remove leaves
// nothing.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <sstream>
#include <string>

#include "rules/diff.h"
#include "rules/redirect.h"
#include "rules/text.h"
#include "tests/kernel/foreign.h"
#include "tests/kernel/seed.h"
#include "tests/kernel/test_netns.h"
#include "tests/random_config.h"

namespace sluice::kernel {
namespace {

constexpr int rounds = 80;
const std::array<Family, 2> families{Family::ipv4, Family::ipv6};

Interception random_interception(RandomConfig& random) {
  PodNetwork pod{.addresses = {parse_address("10.0.0.2"), parse_address("fd00::2")}};
  if (random.chance(50)) std::reverse(pod.addresses.begin(), pod.addresses.end());
  return interception(random.next(), pod);
}

// The tables that exist, without any rule or chain.
std::string empty_tables(const TestNetns& netns, Family family) {
  std::istringstream names(
      netns.proc_net(family == Family::ipv4 ? "ip_tables_names" : "ip6_tables_names"));
  Ruleset ruleset{.family = family};
  for (std::string name; names >> name;) {
    TableRules table{.table = *parse_table(name)};
    for (const std::string& chain : builtin_chains(table.table)) {
      table.chains.push_back({.name = chain, .policy = Policy::accept});
    }
    ruleset.tables.push_back(std::move(table));
  }
  return to_save(ruleset);
}

std::string shown(const std::vector<Difference>& differences) {
  std::string text;
  for (const Difference& difference : differences) text += to_string(difference) + "\n";
  return text;
}

void check_applied(TestNetns& netns, const Interception& wanted, bool others = false) {
  for (const std::string& notice : netns.backend().apply(wanted)) {
    // Nothing else is worth a notice here.
    CHECK_THAT(notice, Catch::Contains(" rules of others stand before ours in chain "));
    CHECK(others);
  }
  CHECK(shown(diff(wanted, netns.backend().read())) == nothing);
}

// Of all tables in one order: the kernel lists them in that of their creation, and a table that
// only an earlier configuration used stays, empty.
std::string only_rules(const TestNetns& netns, Family family) {
  std::map<std::string, std::string> tables;
  std::string table;
  std::istringstream lines(netns.save(family));
  for (std::string line; std::getline(lines, line);) {
    if (line.front() == '*') table = line + "\n";
    const bool ours = line.front() == '-' || line.find(" - ") != std::string::npos;
    if (ours) tables[table] += line + "\n";
  }
  std::string text;
  for (const auto& [name, rules] : tables) text += name + rules;
  return text;
}

// Without lo there are no IPv6 routes for mode tproxy.
void bring_lo_up(const TestNetns& netns) {
  netns.must({"ip", "link", "set", "lo", "up"});
}

// Nothing shows that something else was there before `wanted`.
void check_like_new(const TestNetns& netns, const Interception& wanted) {
  TestNetns fresh;
  bring_lo_up(fresh);
  check_applied(fresh, wanted);
  for (const Family family : families) {
    CHECK(difference(only_rules(netns, family), only_rules(fresh, family)) == nothing);
  }
  CHECK(netns.addresses() == fresh.addresses());
}

TEST_CASE("random configurations are applied, replaced and removed without remnants") {
  INFO("SLUICE_SEED=" << test_seed());
  RandomConfig random(test_seed());
  for (int round = 0; round < rounds; ++round) {
    INFO("round " << round);
    const Interception first = random_interception(random);
    const Interception second = random_interception(random);
    TestNetns netns;
    bring_lo_up(netns);
    const std::string addresses = netns.addresses();
    check_applied(netns, first);
    check_applied(netns, second);
    check_like_new(netns, second);
    CHECK(netns.backend().remove().empty());
    CHECK(netns.addresses() == addresses);
    CHECK(netns.backend().read().tproxy_routes.empty());
    for (const Family family : families) {
      CHECK(difference(netns.save(family), empty_tables(netns, family)) == nothing);
    }
  }
}

TEST_CASE("random configurations leave foreign rules as they were") {
  INFO("SLUICE_SEED=" << test_seed());
  RandomConfig random(test_seed() + 1);
  TestNetns netns;
  bring_lo_up(netns);
  std::array<std::string, 2> before;
  for (const Family family : families) {
    add_foreign_rules(netns, family);
    before.at(static_cast<std::size_t>(family)) = counted_rules(netns, family);
  }
  for (int round = 0; round < rounds; ++round) {
    INFO("round " << round);
    check_applied(netns, random_interception(random), true);
    if (round % 4 != 3) continue;
    CHECK(netns.backend().remove().empty());
    for (const Family family : families) {
      const std::string after = counted_rules(netns, family);
      CHECK(difference(before.at(static_cast<std::size_t>(family)), after) == nothing);
    }
  }
}

}  // namespace
}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// What race_test.cc meets by chance, one moment at a time.
#include <array>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "rules/diff.h"
#include "rules/error.h"
#include "rules/kernel/xt/table.h"
#include "tests/kernel/commit_hook.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/foreign.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

using xt::XtTable;

const Rule foreign_rule{.source = AddressMatch{.cidr = parse_cidr("10.9.9.0/24")},
                        .target = Accept{}};
const Rule foreign_ipv6_rule{.source = AddressMatch{.cidr = parse_cidr("fd99::/64")},
                             .target = Accept{}};

void add_foreign_rule(Family family) {
  const std::unique_ptr<XtTable> table = XtTable::open(family, Table::nat);
  table->append("POSTROUTING", family == Family::ipv4 ? foreign_rule : foreign_ipv6_rule);
  CHECK(table->commit());
}

// What stands in the chains of both families that hold rules of ours among others.
std::string rules_of(const TestNetns& netns) {
  std::string all;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    all += filter_lines(netns.save(family), [](const std::string& line) {
      return line.front() == '-' || line.find(" - ") != std::string::npos;
    });
  }
  return all;
}

// The rules after `wanted` alone was applied, and `count` times another's in each family.
std::string expected_rules(const Interception& wanted, int count_ipv4, int count_ipv6 = 0) {
  TestNetns netns;
  netns.backend().apply(wanted);
  netns.inside([&] {
    for (int i = 0; i < count_ipv4; ++i) add_foreign_rule(Family::ipv4);
    for (int i = 0; i < count_ipv6; ++i) add_foreign_rule(Family::ipv6);
  });
  return rules_of(netns);
}

struct Transition {
  const char* name;
  RedirectConfig before;
  RedirectConfig after;
};

// How the excluded interfaces change is what makes the difference.
std::vector<Transition> transitions() {
  return {
      {"other interfaces", small_config(), large_config()},
      {"no interfaces any more", large_config(), config_of("{}")},
      {"interfaces for the first time", config_of("{}"), large_config()},
      {"the last interface only", large_config(), config_of(R"({"excludeInterfaces": "eth8"})")}};
}

TEST_CASE("a commit that another writer overtook is repeated, without remnants") {
  for (const auto& [name, before, after] : transitions()) {
    INFO(name);
    TestNetns netns;
    netns.backend().apply(ipv4_only(before));
    int turns = 3;
    {
      const CommitHook other([&](CommitMoment moment, Family family) {
        if (moment == CommitMoment::before_table && turns-- > 0) add_foreign_rule(family);
      });
      CHECK(netns.backend().apply(ipv4_only(after)).empty());
    }
    CHECK(turns < 0);
    CHECK(difference(expected_rules(ipv4_only(after), 3), rules_of(netns)) == nothing);
  }
}

TEST_CASE("a writer that overtakes every commit makes apply give up, and nothing is lost") {
  const Family overtaken = GENERATE(Family::ipv4, Family::ipv6);
  for (const auto& [name, before, after] : transitions()) {
    INFO(name);
    TestNetns netns;
    netns.backend().apply(both_families(before));
    int turns = 0;
    {
      const CommitHook other([&](CommitMoment moment, Family family) {
        if (moment != CommitMoment::before_table || family != overtaken) return;
        ++turns;
        add_foreign_rule(family);
      });
      try {
        netns.backend().apply(both_families(after));
        FAIL("apply succeeded");
      } catch (const Error& error) {
        INFO(error.what());
        CHECK(error.code() == std::errc::resource_unavailable_try_again);
      }
    }
    CHECK(turns == 10);
    const int ipv4_turns = overtaken == Family::ipv4 ? turns : 0;
    CHECK(difference(expected_rules(both_families(before), ipv4_turns, turns - ipv4_turns),
                     rules_of(netns)) == nothing);
  }
}

TEST_CASE("a writer between the table and its counters does not undo what was written") {
  for (const auto& [name, before, after] : transitions()) {
    INFO(name);
    TestNetns netns;
    netns.backend().apply(both_families(before));
    {
      std::array<int, 2> turns{1, 1};
      const CommitHook other([&](CommitMoment moment, Family family) {
        if (moment != CommitMoment::before_counters) return;
        if (turns.at(static_cast<std::size_t>(family))-- > 0) add_foreign_rule(family);
      });
      CHECK_NOTHROW(netns.backend().apply(both_families(after)));
    }
    CHECK(difference(expected_rules(both_families(after), 1, 1), rules_of(netns)) == nothing);
  }
}

TEST_CASE("what another writer undoes right after the commit is written again") {
  for (const auto& [name, before, after] : transitions()) {
    INFO(name);
    TestNetns netns;
    netns.backend().apply(ipv4_only(before));
    {
      int turns = 2;
      const CommitHook other([&](CommitMoment moment, Family family) {
        if (moment != CommitMoment::after_counters || turns-- <= 0) return;
        const std::unique_ptr<XtTable> table = XtTable::open(family, Table::nat);
        for (const char* chain : {"PREROUTING", "OUTPUT", "ISTIO_OUTPUT"}) {
          table->flush_chain(chain);
        }
        CHECK(table->commit());
      });
      CHECK(netns.backend().apply(ipv4_only(after)).empty());
    }
    CHECK(difference(expected_rules(ipv4_only(after), 0), rules_of(netns)) == nothing);
  }
}

TEST_CASE("a table is put back although another writer overtakes that too") {
  for (const auto& [name, before, after] : transitions()) {
    INFO(name);
    TestNetns netns;
    netns.backend().apply(both_families(before));
    Interception refused = both_families(after);
    find_chain(refused.rulesets.at(1).tables.at(0), "PREROUTING")
        ->rules.push_back(
            {.matches = {Owner{.uid = OwnerRange{}}}, .target = Jump{"ISTIO_INBOUND"}});
    {
      int commits = 0;
      // The first commit of IPv4 is that of the new rules, the second and third put back the old.
      const CommitHook other([&](CommitMoment moment, Family family) {
        if (moment != CommitMoment::before_table || family != Family::ipv4) return;
        if (++commits > 1 && commits < 4) add_foreign_rule(family);
      });
      CHECK_THROWS_WITH(netns.backend().apply(refused), Catch::EndsWith("Invalid argument"));
    }
    CHECK(difference(expected_rules(both_families(before), 2), rules_of(netns)) == nothing);
  }
}

}  // namespace
}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// Tables laid out as no iptables would lay them out (rules/kernel/xt/vet.h): an error, never a
// crash. Run under the sanitizers these tests see what libiptc would have done.
#include <catch2/catch.hpp>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "rules/diff.h"
#include "rules/error.h"
#include "rules/kernel/xt/table.h"
#include "rules/kernel/xt/vet.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/raw_table.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

const std::string end_name = "ERROR";

// The three policies, then `chains`, then the end of the table.
RawFilter with_chains(const std::vector<RawEntry>& chains) {
  RawFilter filter{.entries = {RawVerdict{}, RawVerdict{}, RawVerdict{}},
                   .first = {0, 1, 2},
                   .policy = {0, 1, 2}};
  filter.entries.insert(filter.entries.end(), chains.begin(), chains.end());
  filter.entries.emplace_back(RawError{end_name});
  return filter;
}

struct NamedFilter {
  std::string name;
  RawFilter filter;
};

std::vector<NamedFilter> hostile_filters() {
  const RawVerdict back{raw_return};
  const RawFilter plain = with_chains({});
  std::vector<NamedFilter> all{
      {"two chains of one name", with_chains({RawError{"X"}, back, RawError{"X"}, back})},
      {"a chain with a built-in name", with_chains({RawError{"INPUT"}, back})},
      {"a chain with a built-in name of another table",
       with_chains({RawError{"PREROUTING"}, back})},
      {"a name without an end", with_chains({RawError{std::string(30, 'x')}, back})},
      {"a chain without a last rule", with_chains({RawError{"X"}, RawError{"Y"}, back})},
      {"a chain that ends in a jump",
       with_chains({RawError{"X"}, RawJump{6}, RawError{"Y"}, back})},
      {"a jump to the second rule of a chain",
       with_chains({RawError{"X"}, back, back, RawError{"Y"}, RawJump{5}, back})},
      {"a jump to a chain's head",
       with_chains({RawError{"X"}, back, RawError{"Y"}, RawJump{3}, back})},
      {"a jump to a built-in chain", with_chains({RawError{"X"}, RawJump{1}, back})},
      {"a jump to the end of the table", with_chains({RawError{"X"}, RawJump{6}, back})},
  };
  RawFilter shared = plain;
  shared.first = {0, 0, 0};
  shared.policy = {0, 0, 0};
  all.push_back({"one chain for all hooks", shared});
  RawFilter no_end = plain;
  no_end.entries.pop_back();
  all.push_back({"no end of the table", no_end});
  return all;
}

void check_refused(TestNetns& netns, Family family, int errnum) {
  const auto refused = [&](const auto& action) {
    try {
      action();
      FAIL("the table was taken");
    } catch (const Error& error) {
      CHECK(error.code().default_error_condition().value() == errnum);
      CHECK_THAT(error.what(), Catch::Contains(std::string(to_string(family)) + " table filter"));
    }
  };
  refused([&] { netns.backend().read(); });
  refused([&] { netns.backend().remove(); });
  refused([&] { netns.backend().apply(ipv6_blocked(small_config())); });
}

TEST_CASE("a table as iptables lays it out passes") {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    TestNetns netns;
    const RawVerdict back{raw_return};
    // INPUT's first rule jumps to Y, which jumps on to X.
    RawFilter filter = with_chains({RawError{"X"}, back, RawError{"Y"}, RawJump{5}, back});
    filter.entries.insert(filter.entries.begin(), RawJump{7});
    filter.first = {0, 2, 3};
    filter.policy = {1, 2, 3};
    netns.inside([&] { REQUIRE(write_filter(family, filter) == 0); });
    const Interception live = netns.backend().read();
    const Ruleset& ruleset = live.rulesets.at(family == Family::ipv4 ? 0 : 1);
    const TableRules* table = find_table(ruleset, Table::filter);
    REQUIRE(table != nullptr);
    REQUIRE(find_chain(*table, "INPUT")->rules.size() == 1);
    CHECK(find_chain(*table, "INPUT")->rules.front() == Rule{.target = Jump{"Y"}});
    CHECK(find_chain(*table, "Y")->rules.front() == Rule{.target = Jump{"X"}});
    CHECK(find_chain(*table, "X")->rules.empty());
  }
}

TEST_CASE("a table that libiptc cannot read is an error") {
  int accepted = 0;
  for (const NamedFilter& hostile : hostile_filters()) {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
      INFO(to_string(family) << ": " << hostile.name);
      TestNetns netns;
      int errnum = 0;
      netns.inside([&] { errnum = write_filter(family, hostile.filter); });
      // Newer kernels refuse some of them by themselves.
      CHECK((errnum == 0 || errnum == EINVAL));
      if (errnum != 0) continue;
      ++accepted;
      check_refused(netns, family, EUCLEAN);
    }
  }
  CHECK(accepted >= 16);
}

// iptables refuses to make such a chain. libiptc takes the target's name for the chain's: rules
// that should reject would run through it instead.
TEST_CASE("a chain with the name of a target that we write is not taken for the target") {
  TestNetns netns;
  const RawFilter filter = with_chains({RawError{"REJECT"}, RawVerdict{raw_return}});
  netns.inside([&] { REQUIRE(write_filter(Family::ipv6, filter) == 0); });
  CHECK_THROWS_AS(netns.backend().apply(ipv6_blocked(small_config())), Error);
  CHECK(diff(Interception{}, netns.backend().read()).empty());
}

TEST_CASE("a table of too many rules is an error, not minutes of work") {
  TestNetns netns;
  std::string text = "*filter\n:MANY - [0:0]\n";
  for (int i = 0; i < 131'073; ++i) text += "-A MANY\n";
  netns.restore(Family::ipv4, text + "COMMIT\n");
  check_refused(netns, Family::ipv4, E2BIG);
}

TEST_CASE("a process may take less than that") {
  TestNetns netns;
  std::string text = "*filter\n:MANY - [0:0]\n";
  for (int i = 0; i < 40; ++i) text += "-A MANY\n";
  netns.restore(Family::ipv4, text + "COMMIT\n");
  CHECK_NOTHROW(netns.backend().read());
  xt::limit_entries(32);
  check_refused(netns, Family::ipv4, E2BIG);
  xt::limit_entries(131'072);
  CHECK_NOTHROW(netns.backend().read());
}

}  // namespace
}  // namespace sluice::kernel

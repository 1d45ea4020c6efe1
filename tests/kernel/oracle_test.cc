// SPDX-License-Identifier: GPL-2.0-or-later
// The vendor's programs as the oracle: what we write through libiptc is, to the byte, what
// iptables-restore makes of our text, and what they print is what we read.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rules/kernel/xt/table.h"
#include "rules/layout.h"
#include "rules/redirect.h"
#include "rules/text.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/random_rule.h"
#include "tests/kernel/raw_table.h"
#include "tests/kernel/seed.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

using xt::XtTable;

// The order of tables is the order of their creation for iptables-save, ours is fixed.
Ruleset sorted(Ruleset ruleset) {
  std::sort(ruleset.tables.begin(), ruleset.tables.end(),
            [](const TableRules& a, const TableRules& b) { return a.table < b.table; });
  return ruleset;
}

Ruleset read_family(TestNetns& netns, Family family) {
  for (Ruleset& ruleset : netns.backend().read().rulesets) {
    if (ruleset.family == family) return std::move(ruleset);
  }
  FAIL("the backend reads no " << to_string(family));
  return {};
}

// iptables-save prints a namespace's tables in the order of their creation.
std::string with_sorted_tables(const std::string& dump) {
  const std::string_view last = "COMMIT\n";
  std::vector<std::string> tables;
  for (std::size_t begin = 0; begin < dump.size();) {
    const std::size_t end = dump.find(last, begin);
    REQUIRE(end != std::string::npos);
    tables.push_back(dump.substr(begin, end + last.size() - begin));
    begin = end + last.size();
  }
  std::sort(tables.begin(), tables.end());
  return std::accumulate(tables.begin(), tables.end(), std::string());
}

// iptables-restore takes 255 words, four of which are its own; the kernel takes longer rules.
bool vendor_reads(const Ruleset& ruleset) {
  constexpr std::ptrdiff_t longest = 251;
  const std::string too_long = filter_lines(to_save(ruleset), [](const std::string& line) {
    return std::count(line.begin(), line.end(), ' ') + 1 > longest;
  });
  return too_long.empty();
}

// What the vendor's program makes of our text in a namespace of its own.
std::string restored(const Ruleset& ruleset, const std::vector<std::string>& options) {
  const TestNetns netns;
  netns.restore(ruleset.family, to_restore(ruleset), options);
  return with_sorted_tables(netns.save(ruleset.family));
}

void compare_with_vendor(const Ruleset& wanted, bool in_kernel_order) {
  TestNetns netns;
  CHECK(netns.backend().apply({.rulesets = {wanted}}).empty());
  const std::string live = with_sorted_tables(netns.save(wanted.family));
  if (vendor_reads(wanted)) {
    CHECK(difference(live, restored(wanted, {})) == nothing);
    CHECK(difference(live, restored(wanted, {"--noflush"})) == nothing);
  }
  if (in_kernel_order) CHECK(difference(live, with_sorted_tables(to_save(wanted))) == nothing);

  const std::string dump = netns.must({vendor_tool(wanted.family, "-save")});
  const std::vector<Ruleset> parsed = parse_save(dump, wanted.family);
  REQUIRE(parsed.size() == 1);
  CHECK(sorted(parsed.front()) == read_family(netns, wanted.family));
}

// `count` random rules in a chain that no other calls, written and committed through libiptc.
TableRules write_random_rules(const TestNetns& netns, Family family, Table table, int count) {
  RandomRules rules(family, test_seed());
  TableRules written{.table = table};
  for (const std::string& name : builtin_chains(table)) {
    written.chains.push_back({.name = name, .policy = Policy::accept});
  }
  Chain chain{.name = "RANDOM"};
  for (int i = 0; i < count; ++i) chain.rules.push_back(rules.next(table));
  written.chains.push_back(chain);
  written.chains.push_back({.name = random_jump_chain});
  netns.inside([&] {
    const std::unique_ptr<XtTable> snapshot = XtTable::open(family, table);
    snapshot->create_chain(chain.name);
    snapshot->create_chain(random_jump_chain);
    for (const Rule& rule : chain.rules) snapshot->append(chain.name, rule);
    REQUIRE(snapshot->commit());
  });
  return written;
}

std::vector<std::uint8_t> entries_in(const TestNetns& netns, Family family, Table table) {
  std::vector<std::uint8_t> bytes;
  netns.inside([&] { bytes = raw_entries(family, table); });
  return bytes;
}

TEST_CASE("what is applied is what iptables-restore makes of the printed rules") {
  const std::vector<NamedConfig> configs = golden_configs();
  REQUIRE(configs.size() >= 120);
  for (const auto& [name, config] : configs) {
    const bool in_kernel_order = config.layout->name == "istio";
    INFO(name);
    compare_with_vendor(redirect_ruleset(config, Family::ipv4), in_kernel_order);
    compare_with_vendor(redirect_ruleset(config, Family::ipv6), in_kernel_order);
    compare_with_vendor(redirect_ruleset(config, Family::ipv4, FamilyAction::block), true);
    compare_with_vendor(redirect_ruleset(config, Family::ipv6, FamilyAction::block), true);
  }
}

TEST_CASE(
    "any rule of the model comes back from the kernel, and is printed as iptables-save does") {
  const Family family = GENERATE(Family::ipv4, Family::ipv6);
  const Table table = GENERATE(Table::raw, Table::mangle, Table::nat, Table::filter);
  INFO("SLUICE_SEED=" << test_seed() << ' ' << to_string(family) << ' ' << to_string(table));
  TestNetns netns;
  const TableRules written = write_random_rules(netns, family, table, 300);
  const Ruleset live = read_family(netns, family);
  CHECK(live == Ruleset{.family = family, .tables = {written}});

  const std::string dump = netns.save(family);
  CHECK(difference(to_save(live), dump) == nothing);
  CHECK(parse_save(dump, family) == std::vector<Ruleset>{live});

  // And what the vendor's program writes, given that text, is what we wrote.
  TestNetns other;
  other.restore(family, dump);
  CHECK(read_family(other, family) == live);
  const std::vector<std::uint8_t> ours = entries_in(netns, family, table);
  REQUIRE_FALSE(ours.empty());
  CHECK((ours == entries_in(other, family, table)));
}

TEST_CASE("chains are declared in the same order whatever their names") {
  TestNetns netns;
  const std::vector<std::string> names{"b", "a", "B", "ISTIO_A", "ISTIO_INBOUND2", "0", "-x"};
  netns.inside([&] {
    const std::unique_ptr<XtTable> snapshot = XtTable::open(Family::ipv4, Table::nat);
    for (const std::string& name : names) snapshot->create_chain(name);
    REQUIRE(snapshot->commit());
  });
  CHECK(to_save(read_family(netns, Family::ipv4)) == netns.save(Family::ipv4));
}

}  // namespace
}  // namespace sluice::kernel

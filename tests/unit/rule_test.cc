// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/rule.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace sluice {
namespace {

TEST_CASE("rule: tables and families have the names that iptables uses", "[rule]") {
  for (const Table table : {Table::raw, Table::mangle, Table::nat, Table::filter}) {
    CHECK(parse_table(to_string(table)) == table);
  }
  CHECK(to_string(Table::nat) == std::string("nat"));
  CHECK(to_string(Family::ipv4) == std::string("IPv4"));
  CHECK(to_string(Family::ipv6) == std::string("IPv6"));
  for (const char* name : {"", "NAT", "nat ", "security", "broute"}) {
    CAPTURE(name);
    CHECK_FALSE(parse_table(name).has_value());
  }
}

TEST_CASE("rule: built-in chains are those of the kernel, in the order of their hooks", "[rule]") {
  using Names = std::vector<std::string>;
  CHECK(builtin_chains(Table::raw) == Names{"PREROUTING", "OUTPUT"});
  CHECK(builtin_chains(Table::mangle) ==
        Names{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"});
  CHECK(builtin_chains(Table::nat) == Names{"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"});
  CHECK(builtin_chains(Table::filter) == Names{"INPUT", "FORWARD", "OUTPUT"});
  CHECK(is_builtin_chain(Table::nat, "PREROUTING"));
  CHECK_FALSE(is_builtin_chain(Table::nat, "FORWARD"));
  CHECK_FALSE(is_builtin_chain(Table::filter, "PREROUTING"));
  CHECK_FALSE(is_builtin_chain(Table::nat, "output"));
}

TEST_CASE("rule: tables and chains are found by name", "[rule]") {
  Ruleset ruleset;
  ruleset.tables.push_back({.table = Table::mangle});
  ruleset.tables.push_back({.table = Table::nat, .chains = {{.name = "A"}, {.name = "B"}}});
  CHECK(find_table(ruleset, Table::nat) == &ruleset.tables[1]);
  CHECK(find_table(ruleset, Table::filter) == nullptr);
  TableRules& nat = ruleset.tables[1];
  CHECK(find_chain(nat, "B") == &nat.chains[1]);
  CHECK(find_chain(nat, "C") == nullptr);
  const TableRules& unchanging = nat;
  CHECK(find_chain(unchanging, "A") == nat.chains.data());
}

}  // namespace
}  // namespace sluice

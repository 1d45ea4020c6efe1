// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/ownership.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "rules/parse.h"
#include "rules/redirect.h"
#include "tests/unit/tables.h"

namespace sluice {
namespace {

using Texts = std::vector<std::string>;
using Positions = std::vector<std::size_t>;

const Texts istio_chains{"ISTIO_INBOUND", "ISTIO_OUTPUT"};

Positions owned_in(const TableRules& table, const std::string& chain) {
  for (const OwnedRules& found : owned_rules(table)) {
    if (found.chain == chain) return found.positions;
  }
  return {};
}

// Our run of excluded interfaces with its jump, as the layouts write it.
Texts our_run(const std::string& chain, const Texts& interfaces) {
  const bool in = chain == "PREROUTING";
  Texts rules;
  for (const std::string& name : interfaces) {
    rules.push_back("-A " + chain + (in ? " -i " : " -o ") + name + " -j RETURN");
  }
  rules.push_back("-A " + chain + (in ? " -p tcp -j ISTIO_INBOUND" : " -j ISTIO_OUTPUT"));
  return rules;
}

Texts joined(Texts a, const Texts& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST_CASE("ownership: chains are told by their names alone", "[ownership]") {
  for (const char* name :
       {"ISTIO_INBOUND", "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT", "ISTIO_REDIRECT", "ISTIO_OUTPUT_DNS",
        "ISTIO_DIVERT", "ISTIO_TPROXY", "ISTIO_DROP", "ISTIO_REJECT"}) {
    CAPTURE(name);
    CHECK(is_owned_chain(name));
  }
  for (const char* name : {"", "ISTIO", "ISTIO_", "istio_inbound", "ISTIO_INBOUND2",
                           "XISTIO_OUTPUT", "PREROUTING", "OUTPUT", "DOCKER"}) {
    CAPTURE(name);
    CHECK_FALSE(is_owned_chain(name));
  }
}

TEST_CASE("ownership: of the addresses on lo only ::6 is ours", "[ownership]") {
  CHECK(is_owned_address(parse_address("::6")));
  for (const char* text : {"::1", "::7", "127.0.0.6", "0.0.0.6", "::ffff:0.0.0.6", "fe80::6"}) {
    CAPTURE(text);
    CHECK_FALSE(is_owned_address(parse_address(text)));
  }
}

TEST_CASE("ownership: a table without anything of ours", "[ownership]") {
  const TableRules foreign = table_with(
      {"-A PREROUTING -i eth1 -j RETURN", "-A OUTPUT -j DOCKER", "-A OUTPUT -o eth1 -j RETURN"},
      {"DOCKER"});
  CHECK(owned_rules(foreign).empty());
  CHECK(owned(ruleset_with(foreign)) == Ruleset{.family = Family::ipv4});
}

// Wherever a foreign rule of the very shape of ours stands, it must stay; where it does not tear
// our run apart, all of ours must go.
TEST_CASE("ownership: a foreign interface rule survives in every position", "[ownership]") {
  const std::string chain = GENERATE("PREROUTING", "OUTPUT");
  const bool inbound = GENERATE(true, false);
  const std::size_t position = GENERATE(0U, 1U, 2U, 3U);
  Texts in = our_run("PREROUTING", {"eth1", "eth2"});
  if (!inbound) in.pop_back();
  Texts out = our_run("OUTPUT", {"eth1", "eth2"});
  Texts& target = chain == "PREROUTING" ? in : out;
  if (position > target.size()) return;
  const std::string foreign =
      "-A " + chain + (chain == "PREROUTING" ? " -i" : " -o") + " eth9 -j RETURN";
  target.insert(target.begin() + static_cast<std::ptrdiff_t>(position), foreign);
  const TableRules table = table_with(joined(in, out), istio_chains);
  CAPTURE(chain, inbound, position);
  const Positions ours = owned_in(table, chain);
  CHECK(std::find(ours.begin(), ours.end(), position) == ours.end());
  const bool torn = position == 1 || (position == 2 && target.size() == 4 && target[3] != foreign);
  if (torn) return;
  CHECK(owned_in(table, "PREROUTING").size() + owned_in(table, "OUTPUT").size() ==
        in.size() + out.size() - 1);
}

TEST_CASE("ownership: interfaces count only where both chains agree", "[ownership]") {
  const auto ours = [](const Texts& in, const Texts& out) {
    const TableRules table =
        table_with(joined(our_run("PREROUTING", in), our_run("OUTPUT", out)), istio_chains);
    return std::pair(owned_in(table, "PREROUTING"), owned_in(table, "OUTPUT"));
  };
  CHECK(ours({}, {}) == std::pair(Positions{0}, Positions{0}));
  CHECK(ours({"a", "b"}, {"a", "b"}) == std::pair(Positions{0, 1, 2}, Positions{0, 1, 2}));
  // What stands farther away from the jump is foreign in the chain that has more.
  CHECK(ours({"x", "a", "b"}, {"a", "b"}) == std::pair(Positions{1, 2, 3}, Positions{0, 1, 2}));
  CHECK(ours({"a", "b"}, {"x", "a", "b"}) == std::pair(Positions{0, 1, 2}, Positions{1, 2, 3}));
  CHECK(ours({"x"}, {}) == std::pair(Positions{1}, Positions{0}));
  CHECK(ours({}, {"x"}) == std::pair(Positions{0}, Positions{1}));
  CHECK(ours({"x", "b"}, {"y", "b"}) == std::pair(Positions{1, 2}, Positions{1, 2}));
  // The same interfaces in another order are nobody's run.
  CHECK(ours({"a", "b"}, {"b", "a"}) == std::pair(Positions{2}, Positions{2}));
}

TEST_CASE("ownership: a rule that does more than return an interface ends the run", "[ownership]") {
  for (const char* match : {"! -i eth1", "-s 10.0.0.0/8 -i eth1", "-i eth1 -p tcp",
                            "-i eth1 -m comment --comment mine", "-i eth1 -o eth1", ""}) {
    CAPTURE(match);
    const std::string odd = std::string("-A PREROUTING ") + match + " -j RETURN";
    const Texts in{"-A PREROUTING -i eth1 -j RETURN", odd, "-A PREROUTING -p tcp -j ISTIO_INBOUND"};
    const TableRules table =
        table_with(joined(in, our_run("OUTPUT", {"eth1", "eth1"})), istio_chains);
    CHECK(owned_in(table, "PREROUTING") == Positions{2});
    CHECK(owned_in(table, "OUTPUT") == Positions{2});
  }
  const TableRules accepting =
      table_with(joined({"-A PREROUTING -i eth1 -j ACCEPT", "-A PREROUTING -j ISTIO_INBOUND"},
                        our_run("OUTPUT", {"eth1"})),
                 istio_chains);
  CHECK(owned_in(accepting, "PREROUTING") == Positions{1});
}

TEST_CASE("ownership: without an inbound jump the last run that agrees with OUTPUT is ours",
          "[ownership]") {
  const auto in_prerouting = [](const Texts& rules, const Texts& out) {
    Texts all;
    for (const std::string& rule : rules) {
      all.push_back("-A PREROUTING " +
                    (rule.empty() ? "-p udp -j RETURN" : "-i " + rule + " -j RETURN"));
    }
    return owned_in(table_with(joined(all, our_run("OUTPUT", out)), istio_chains), "PREROUTING");
  };
  CHECK(in_prerouting({"a", "b"}, {"a", "b"}) == Positions{0, 1});
  CHECK(in_prerouting({"x", "a", "b"}, {"a", "b"}) == Positions{1, 2});
  CHECK(in_prerouting({"a", "b", "x"}, {"a", "b"}) == Positions{0, 1});
  CHECK(in_prerouting({"a", "b", ""}, {"a", "b"}) == Positions{0, 1});
  CHECK(in_prerouting({"a", "b", "", "a", "b"}, {"a", "b"}) == Positions{3, 4});
  // A longer agreement farther in front beats a shorter one behind it.
  CHECK(in_prerouting({"a", "b", "", "b"}, {"a", "b"}) == Positions{0, 1});
  CHECK(in_prerouting({"a", "a", "b", "a", "b"}, {"b", "a", "b"}) == Positions{2, 3, 4});
  CHECK(in_prerouting({"x", "y"}, {"a", "b"}).empty());
  CHECK(in_prerouting({"a"}, {}).empty());
  CHECK(in_prerouting({}, {"a"}).empty());
}

TEST_CASE("ownership: without the jump in OUTPUT no interface rule is ours", "[ownership]") {
  const TableRules table =
      table_with({"-A PREROUTING -i eth1 -j RETURN", "-A PREROUTING -p tcp -j ISTIO_INBOUND",
                  "-A OUTPUT -o eth1 -j RETURN"},
                 istio_chains);
  CHECK(owned_in(table, "PREROUTING") == Positions{1});
  CHECK(owned_in(table, "OUTPUT").empty());
}

TEST_CASE("ownership: every jump or goto to our chains is ours, whoever made it", "[ownership]") {
  const TableRules table =
      table_with({"-A PREROUTING -p tcp -j ISTIO_INBOUND", "-A PREROUTING -j DOCKER",
                  "-A PREROUTING -s 10.0.0.0/8 -m comment --comment x -j ISTIO_INBOUND",
                  "-A OUTPUT -o eth1 -j RETURN", "-A OUTPUT -j ISTIO_OUTPUT", "-A OUTPUT -g DOCKER",
                  "-A OUTPUT -g ISTIO_OUTPUT", "-A DOCKER -p udp -j RETURN",
                  "-A DOCKER -j ISTIO_OUTPUT", "-A POSTROUTING -j MASQUERADE"},
                 {"DOCKER", "ISTIO_INBOUND", "ISTIO_OUTPUT"});
  CHECK(owned_in(table, "PREROUTING") == Positions{0, 2});
  CHECK(owned_in(table, "OUTPUT") == Positions{1, 3});
  CHECK(owned_in(table, "DOCKER") == Positions{1});
  CHECK(owned_in(table, "POSTROUTING").empty());
  CHECK(owned_in(table, "ISTIO_OUTPUT").empty());
  CHECK(owned_rules(table).size() == 3);
}

// Where what was written last is known, a foreign rule that happens to stand before it stays.
TEST_CASE("ownership: what was written last tells our interfaces from others", "[ownership]") {
  const auto ours = [](const Texts& live, const Texts& written, bool inbound = true) {
    const auto table = [&](const Texts& interfaces) {
      Texts in = our_run("PREROUTING", interfaces);
      if (!inbound) in.pop_back();
      return table_with(joined(in, our_run("OUTPUT", interfaces)), istio_chains);
    };
    const TableRules found = table(live);
    const TableRules known = table(written);
    std::vector<Positions> positions;
    for (const OwnedRules& part : owned_rules(found, &known)) positions.push_back(part.positions);
    return positions;
  };
  using Both = std::vector<Positions>;
  CHECK(ours({"a", "b"}, {"a", "b"}) == Both{{0, 1, 2}, {0, 1, 2}});
  CHECK(ours({"x", "a", "b"}, {"a", "b"}) == Both{{1, 2, 3}, {1, 2, 3}});
  CHECK(ours({"x"}, {}) == Both{{1}, {1}});
  CHECK(ours({"x", "a"}, {"a"}, false) == Both{{1}, {1, 2}});
  CHECK(ours({"x"}, {}, false) == Both{{1}});
  // In doubt a rule is ours: what was written is not, or not all, there.
  CHECK(ours({"x", "b"}, {"a", "b"}) == Both{{0, 1, 2}, {0, 1, 2}});
  CHECK(ours({"x"}, {"a"}) == Both{{0, 1}, {0, 1}});
  CHECK(ours({"b"}, {"a", "b"}) == Both{{0, 1}, {0, 1}});
}

TEST_CASE("ownership: what was written is looked for in both chains", "[ownership]") {
  const TableRules written =
      table_with(joined(our_run("PREROUTING", {"a"}), our_run("OUTPUT", {"a"})), istio_chains);
  const TableRules found =
      table_with(joined(our_run("PREROUTING", {}), our_run("OUTPUT", {"a"})), istio_chains);
  for (const OwnedRules& part : owned_rules(found, &written)) {
    CHECK(part.positions == (part.chain == "OUTPUT" ? Positions{1} : Positions{0}));
  }
}

TEST_CASE("ownership: a table that was not written last time tells nothing", "[ownership]") {
  const TableRules found =
      table_with(joined(our_run("PREROUTING", {"x"}), our_run("OUTPUT", {"x"})), istio_chains);
  const TableRules nothing = table_with({});
  REQUIRE(owned_rules(found, &nothing).size() == 2);
  CHECK(owned_rules(found, &nothing)[0].positions == Positions{0, 1});
  const Ruleset live = ruleset_with(found);
  const Ruleset none;
  CHECK(owned(live, &none) == owned(live));
  CHECK(owned(live, &live) == owned(live));
}

TEST_CASE("ownership: in other tables only chains and jumps are ours", "[ownership]") {
  for (const Table kind : {Table::raw, Table::mangle}) {
    const TableRules table = table_with(
        joined(our_run("PREROUTING", {"eth1"}), our_run("OUTPUT", {"eth1"})), istio_chains, kind);
    CHECK(owned_in(table, "PREROUTING") == Positions{1});
    CHECK(owned_in(table, "OUTPUT") == Positions{1});
  }
}

TEST_CASE("ownership: our part keeps family, policy and our chains whole", "[ownership]") {
  TableRules nat = table_with(
      {"-A PREROUTING -i eth9 -j RETURN", "-A PREROUTING -p udp -j RETURN",
       "-A PREROUTING -p tcp -j ISTIO_INBOUND", "-A OUTPUT -j ISTIO_OUTPUT", "-A OUTPUT -j DOCKER",
       "-A ISTIO_INBOUND -p tcp -j RETURN", "-A ISTIO_OUTPUT -j DOCKER", "-A DOCKER -j RETURN"},
      {"DOCKER", "ISTIO_INBOUND", "ISTIO_OUTPUT", "ISTIO_DROP"});
  find_chain(nat, "OUTPUT")->policy = Policy::drop;
  Ruleset live = ruleset_with(nat, Family::ipv6);
  live.tables.push_back(table_with({"-A INPUT -j DROP"}, {}, Table::filter));
  const Ruleset ours = owned(live);
  CHECK(ours.family == Family::ipv6);
  REQUIRE(ours.tables.size() == 1);
  CHECK(to_save(ours) ==
        "*nat\n"
        ":PREROUTING ACCEPT [0:0]\n"
        ":OUTPUT DROP [0:0]\n"
        ":ISTIO_INBOUND - [0:0]\n"
        ":ISTIO_OUTPUT - [0:0]\n"
        ":ISTIO_DROP - [0:0]\n"
        "-A PREROUTING -p tcp -j ISTIO_INBOUND\n"
        "-A OUTPUT -j ISTIO_OUTPUT\n"
        "-A ISTIO_INBOUND -p tcp -j RETURN\n"
        "-A ISTIO_OUTPUT -j DOCKER\n"
        "COMMIT\n");
}

// A tenant may have filled these chains; interface names that repeat are the worst case.
TEST_CASE("ownership: big chains take linear time", "[ownership]") {
  constexpr std::size_t size = 20'000;
  const bool same_names = GENERATE(true, false);
  const bool inbound_jump = GENERATE(true, false);
  TableRules table = table_with(
      {"-A PREROUTING -p tcp -j ISTIO_INBOUND", "-A OUTPUT -j ISTIO_OUTPUT"}, istio_chains);
  if (!inbound_jump) find_chain(table, "PREROUTING")->rules.clear();
  std::vector<Rule> in;
  std::vector<Rule> out;
  for (std::size_t i = 0; i < size; ++i) {
    const std::string name = same_names ? "eth0" : "eth" + std::to_string(i);
    in.push_back({.in = Interface{.name = name}});
    out.push_back({.out = Interface{.name = name}});
  }
  out.front().out->name = "other";
  for (auto& [chain, rules] : {std::pair("PREROUTING", &in), std::pair("OUTPUT", &out)}) {
    std::vector<Rule>& all = find_chain(table, chain)->rules;
    all.insert(all.begin(), rules->begin(), rules->end());
  }
  const std::clock_t start = std::clock();
  const Ruleset ours = owned(ruleset_with(table));
  CHECK(std::clock() - start < 2 * CLOCKS_PER_SEC);  // of the processor's time
  CHECK(find_chain(ours.tables.front(), "OUTPUT")->rules.size() == size);
}

}  // namespace
}  // namespace sluice

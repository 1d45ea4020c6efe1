// SPDX-License-Identifier: GPL-2.0-or-later
// Laws that hold for every configuration. A failure prints its seed: SLUICE_SEED=... repeats it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rules/canonical.h"
#include "rules/diff.h"
#include "rules/ownership.h"
#include "rules/redirect.h"
#include "rules/text.h"
#include "tests/fake_backend.h"
#include "tests/foreign_rules.h"
#include "tests/random_config.h"

namespace sluice {
namespace {

constexpr int runs = 250;

// Calls `check` with random configurations.
template <class Check>
void for_configs(Check check) {
  const std::uint64_t seed = random_seed();
  RandomConfig random(seed);
  for (int run = 0; run < runs; ++run) {
    CAPTURE(seed, run);
    const RedirectConfig config = random.next();
    check(config, random);
  }
}

// Calls `check` with the rule sets of random configurations, of both families and actions.
template <class Check>
void for_rulesets(Check check) {
  for_configs([&](const RedirectConfig& config, RandomConfig& random) {
    for (const Ruleset& ruleset :
         {redirect_ruleset(config, Family::ipv4), redirect_ruleset(config, Family::ipv6),
          redirect_ruleset(config, Family::ipv6, FamilyAction::block)}) {
      INFO(to_save(ruleset));
      check(ruleset, random);
    }
  });
}

Ruleset without_empty_builtin_chains(Ruleset ruleset) {
  for (TableRules& table : ruleset.tables) {
    std::erase_if(table.chains, [](const Chain& c) { return c.policy && c.rules.empty(); });
  }
  return ruleset;
}

// A random chain that has rules; there always is one.
Chain& random_chain(TableRules& table, RandomConfig& random) {
  std::vector<Chain*> filled;
  for (Chain& chain : table.chains) {
    if (!chain.rules.empty()) filled.push_back(&chain);
  }
  return *filled.at(random.below(filled.size()));
}

std::ptrdiff_t random_index(const std::vector<Rule>& rules, RandomConfig& random) {
  return static_cast<std::ptrdiff_t>(random.below(rules.size()));
}

TEST_CASE("property: the save form reads back as what was written", "[property]") {
  for_rulesets([](const Ruleset& ruleset, RandomConfig& /*random*/) {
    CHECK(parse_save(to_save(ruleset), ruleset.family) == std::vector{ruleset});
  });
}

TEST_CASE("property: a text of both families reads back as both", "[property]") {
  for_configs([](const RedirectConfig& config, RandomConfig& random) {
    const FamilyAction action = random.chance(50) ? FamilyAction::redirect : FamilyAction::block;
    const std::vector<Ruleset> both{redirect_ruleset(config, Family::ipv4),
                                    redirect_ruleset(config, Family::ipv6, action)};
    const std::string text = to_text(both, to_save);
    INFO(text);
    CHECK(parse_save(text) == both);
  });
}

// nft(8) shows it as a comment, in quotes that know no escapes.
TEST_CASE("property: every rule says where it comes from", "[property]") {
  for_rulesets([](const Ruleset& ruleset, RandomConfig& /*random*/) {
    for (const TableRules& table : ruleset.tables) {
      for (const Chain& chain : table.chains) {
        for (const Rule& rule : chain.rules) {
          const std::string_view origin = rule.origin.text;
          CAPTURE(to_string(chain.name, rule), origin);
          CHECK((!origin.empty() && origin.size() <= 60));
          CHECK(origin.find_first_of("\"\\$\n") == std::string_view::npos);
        }
      }
    }
  });
}

// The kernel refuses a table whose rules jump elsewhere.
TEST_CASE("property: every jump leads to a chain of its table", "[property]") {
  for_rulesets([](const Ruleset& ruleset, RandomConfig& /*random*/) {
    for (const TableRules& table : ruleset.tables) {
      for (const Chain& chain : table.chains) {
        for (const Rule& rule : chain.rules) {
          const Jump* jump = std::get_if<Jump>(&rule.target);
          if (jump != nullptr) CHECK(find_chain(table, jump->chain) != nullptr);
        }
      }
    }
  });
}

TEST_CASE("property: all that is written is recognized as ours", "[property]") {
  for_rulesets([](const Ruleset& ruleset, RandomConfig& /*random*/) {
    CHECK(owned(ruleset) == without_empty_builtin_chains(ruleset));
    CHECK(owns_exactly(ruleset.tables.front(), ruleset.tables.front()));
    CHECK(diff(ruleset, ruleset).empty());
  });
}

TEST_CASE("property: foreign rules around ours are not taken for ours", "[property]") {
  for_rulesets([](const Ruleset& ruleset, RandomConfig& random) {
    const Ruleset live = surrounded(ruleset, random);
    INFO("surrounded:\n" << to_save(live));
    CHECK(diff(ruleset, owned(live)).empty());
    CHECK(owns_exactly(live.tables.front(), ruleset.tables.front()));
    CHECK(diff(Interception{.rulesets = {ruleset}}, Interception{.rulesets = {live}}).empty());
  });
}

TEST_CASE("property: a rule that was removed is exactly the difference", "[property]") {
  for_rulesets([](const Ruleset& ruleset, RandomConfig& random) {
    Ruleset live = ruleset;
    TableRules& table = live.tables.front();
    Chain& chain = random_chain(table, random);
    const std::ptrdiff_t index = random_index(chain.rules, random);
    const std::string text = to_string(chain.name, chain.rules[static_cast<std::size_t>(index)]);
    chain.rules.erase(chain.rules.begin() + index);
    CHECK_FALSE(owns_exactly(table, ruleset.tables.front()));
    if (canonical(live) == canonical(ruleset)) {
      // A neighbour says the same.
      CHECK(diff(ruleset, live).empty());
      return;
    }
    Difference difference{.kind = DifferenceKind::missing_rule,
                          .family = ruleset.family,
                          .table = table.table,
                          .chain = chain.name,
                          .text = text};
    CHECK(diff(ruleset, live) == std::vector{difference});
    difference.kind = DifferenceKind::unexpected_rule;
    CHECK(diff(live, ruleset) == std::vector{difference});
  });
}

// One small change, of those that leave the rules the same too.
void mutate(TableRules& table, RandomConfig& random) {
  Chain& chain = random_chain(table, random);
  std::vector<Rule>& rules = chain.rules;
  const std::ptrdiff_t index = random_index(rules, random);
  switch (random.below(7)) {
    case 0:
      rules.erase(rules.begin() + index);
      return;
    case 1:
      rules.push_back(rules.front());
      return;
    case 2:
      std::swap(rules.front(), rules[static_cast<std::size_t>(index)]);
      return;
    case 3:
      rules.insert(rules.begin() + index, {.target = Jump{"ISTIO_OUTPUT"}});
      return;
    case 4:
      table.chains.erase(table.chains.begin() +
                         static_cast<std::ptrdiff_t>(random.below(table.chains.size())));
      return;
    case 5:
      std::reverse(table.chains.begin(), table.chains.end());
      return;
    default:
      // One of ours that this table never has.
      table.chains.push_back(
          {.name = table.table == Table::filter ? "ISTIO_DIVERT" : "ISTIO_REJECT"});
      return;
  }
}

TEST_CASE("property: both ways to compare agree", "[property]") {
  int same = 0;
  int different = 0;
  for_rulesets([&](const Ruleset& ruleset, RandomConfig& random) {
    Ruleset live = random.chance(50) ? surrounded(ruleset, random) : ruleset;
    mutate(live.tables.front(), random);
    INFO("live:\n" << to_save(live));
    const Ruleset ours = owned(live, &ruleset);
    const bool exactly = owns_exactly(live.tables.front(), ruleset.tables.front());
    const bool equal = diff(ruleset, ours).empty();
    // What differs in its form only is the same to diff().
    CHECK(equal == (exactly || diff(canonical(ruleset), canonical(ours)).empty()));
    ++(exactly ? same : different);
  });
  // Else the law holds for want of cases.
  CHECK(same > runs / 10);
  CHECK(different > runs / 10);
}

// The rule sets as text, without tables that hold nothing: one that only we used stays, empty.
std::vector<std::string> texts_of(std::vector<Ruleset> rulesets) {
  std::vector<std::string> texts;
  for (Ruleset& ruleset : rulesets) {
    std::erase_if(ruleset.tables, [](const TableRules& table) {
      return std::all_of(table.chains.begin(), table.chains.end(),
                         [](const Chain& c) { return c.policy && c.rules.empty(); });
    });
    texts.push_back(to_save(ruleset));
  }
  return texts;
}

// The foreign part of a namespace.
std::vector<std::string> foreign_part(const Interception& all) {
  CallLog calls;
  FakeBackend bare(calls);
  bare.live = all;
  bare.remove();
  return texts_of(bare.live.rulesets);
}

TEST_CASE("property: applying one configuration over another leaves what is foreign",
          "[property]") {
  for_configs([](const RedirectConfig& config, RandomConfig& random) {
    const PodNetwork pod{.addresses = {parse_address("fd00::1")}};
    CallLog calls;
    FakeBackend backend(calls);
    for (const Ruleset& ruleset : interception(config, pod).rulesets) {
      backend.live.rulesets.push_back(surrounded(ruleset, random, true));
    }
    const std::vector<std::string> foreign = foreign_part(backend.live);
    const Interception wanted = interception(random.next(), pod);
    backend.apply(wanted);
    CHECK(diff(wanted, backend.read()).empty());
    backend.apply(wanted);
    CHECK(diff(wanted, backend.read()).empty());
    backend.remove();
    CHECK(diff(Interception{}, backend.read()).empty());
    std::vector<std::string> left = texts_of(backend.live.rulesets);
    // A family that was not there before has its empty table now.
    left.resize(std::min(left.size(), foreign.size()));
    CHECK(left == foreign);
  });
}

}  // namespace
}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/nft_netns.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <iterator>

#include "rules/canonical.h"
#include "rules/kernel/nft/socket.h"
#include "rules/kernel/nft/tables.h"
#include "rules/text.h"

namespace sluice::kernel {

Notices nft_write(const TestNetns& netns, const Interception& wanted, const std::string& table) {
  Notices notices;
  netns.inside([&] { notices = nft::make_tables(table)->write(wanted); });
  return notices;
}

std::vector<Ruleset> nft_read(const TestNetns& netns, const std::string& table) {
  std::vector<Ruleset> rulesets;
  netns.inside([&] { rulesets = nft::make_tables(table)->read(); });
  return rulesets;
}

bool nft_holds_ours(const TestNetns& netns, const std::string& table) {
  bool holds = false;
  netns.inside([&] { holds = nft::make_tables(table)->holds_ours(); });
  return holds;
}

std::vector<Ruleset> canonical_of(const Interception& wanted) {
  std::vector<Ruleset> both;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const auto found =
        std::find_if(wanted.rulesets.begin(), wanted.rulesets.end(),
                     [&](const Ruleset& ruleset) { return ruleset.family == family; });
    both.push_back(found == wanted.rulesets.end() ? Ruleset{.family = family} : canonical(*found));
  }
  return both;
}

std::vector<Ruleset> read_back(const TestNetns& netns, const Interception& wanted) {
  return netns.writes_nftables() ? canonical_of(wanted) : wanted.rulesets;
}

std::string shown(const std::vector<Ruleset>& rulesets) {
  std::string text;
  for (const Ruleset& ruleset : rulesets) {
    text += std::string("# ") + to_string(ruleset.family) + "\n" + to_save(ruleset);
  }
  return text;
}

std::string nft_list(const TestNetns& netns, const std::vector<std::string>& what) {
  std::vector<std::string> words{"nft", "list"};
  words.insert(words.end(), what.begin(), what.end());
  return netns.must(words);
}

void nft_load(const TestNetns& netns, const std::string& text) {
  netns.must({"nft", "-f", "-"}, text);
}

std::uint32_t nft_generation(const TestNetns& netns) {
  std::uint32_t generation = 0;
  netns.inside([&] { generation = nft::Socket::open()->generation(); });
  return generation;
}

}  // namespace sluice::kernel

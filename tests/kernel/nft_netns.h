// SPDX-License-Identifier: GPL-2.0-or-later
// What tests of the nf_tables backend do in a namespace, and nft(8) as their oracle.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rules/backend.h"
#include "rules/kernel/rule_tables.h"
#include "rules/rule.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {

inline constexpr const char* nft_table = "sluice";

// RuleTables::write(), read() and holds_ours() with an object of its own.
Notices nft_write(const TestNetns& netns, const Interception& wanted,
                  const std::string& table = nft_table);
std::vector<Ruleset> nft_read(const TestNetns& netns, const std::string& table = nft_table);
bool nft_holds_ours(const TestNetns& netns, const std::string& table = nft_table);

// Of both families, each in the form of canonical().
std::vector<Ruleset> canonical_of(const Interception& wanted);

// What `wanted`, once written through the namespace's backend(), is read back as.
std::vector<Ruleset> read_back(const TestNetns& netns, const Interception& wanted);

// What iptables-save would print, for messages.
std::string shown(const std::vector<Ruleset>& rulesets);

// `nft list ruleset`, or what of it follows "list".
std::string nft_list(const TestNetns& netns, const std::vector<std::string>& what = {"ruleset"});
void nft_load(const TestNetns& netns, const std::string& text);

// Of the namespace's rules: every transaction is a new one.
std::uint32_t nft_generation(const TestNetns& netns);

}  // namespace sluice::kernel

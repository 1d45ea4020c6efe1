// SPDX-License-Identifier: GPL-2.0-or-later
// Matches and targets as iptables-save 1.8.9 spells them. Part of the implementation of text.h.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "rules/rule.h"

namespace sluice {

// --ctstate's names, in the order in which they are printed.
inline constexpr std::array<std::pair<std::uint16_t, std::string_view>, 5> conntrack_states{
    {{Conntrack::invalid, "INVALID"},
     {Conntrack::new_connection, "NEW"},
     {Conntrack::related, "RELATED"},
     {Conntrack::established, "ESTABLISHED"},
     {Conntrack::untracked, "UNTRACKED"}}};

// --limit's units, with their length in Limit::period's.
inline constexpr std::array<std::pair<std::uint32_t, std::string_view>, 4> limit_units{
    {{864'000'000, "day"}, {36'000'000, "hour"}, {600'000, "min"}, {10'000, "sec"}}};

// " -m tcp --dport 80": with a blank before it.
std::string to_string(const Match& match);

// " -j RETURN". Empty for a rule that only counts.
std::string to_string(const Target& target);

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
// Matches and targets as iptables-save 1.8.9 spells them. Part of the implementation of text.h.
#pragma once

#include <string>

#include "rules/rule.h"

namespace sluice {

// " -m tcp --dport 80": with a blank before it.
std::string to_string(const Match& match);

// " -j RETURN". Empty for a rule that only counts.
std::string to_string(const Target& target);

}  // namespace sluice

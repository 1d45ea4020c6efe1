// SPDX-License-Identifier: GPL-2.0-or-later
// One line of iptables-save's output. Part of the implementation of parse_save (text.h).
#pragma once

#include <cstddef>
#include <set>
#include <string>

#include "rules/rule.h"
#include "rules/text_words.h"

namespace sluice {

// The rule whose options are words[first] and following. `chains` are the names that a target may
// jump to. What the model does not know becomes Opaque; throws Error for an option without its
// value and for ill-formed numbers and addresses.
Rule parse_rule(const Words& words, std::size_t first, const std::set<std::string>& chains);

}  // namespace sluice

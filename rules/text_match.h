// SPDX-License-Identifier: GPL-2.0-or-later
// One match of a line of iptables-save's output. Part of the implementation of parse_save (text.h).
#pragma once

#include <string>

#include "rules/rule.h"
#include "rules/text_words.h"

namespace sluice {

// What stands behind `-m name`. Opaque for what the model does not know; throws Error for
// ill-formed numbers.
Match parse_match(const std::string& name, const Words& options);

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
// The target of a line of iptables-save's output. Part of the implementation of parse_save
// (text.h).
#pragma once

#include <set>
#include <string>

#include "rules/rule.h"
#include "rules/text_words.h"

namespace sluice {

// What stands behind `-j name`. `chains` are the names that a target may jump to. Opaque for what
// the model does not know; throws Error for ill-formed numbers and addresses.
Target parse_target(const std::string& name, const Words& options,
                    const std::set<std::string>& chains);

}  // namespace sluice

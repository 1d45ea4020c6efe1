// SPDX-License-Identifier: GPL-2.0-or-later
// One rule as nft(8) lists it. Part of the implementation of text.h.
#pragma once

#include <string>
#include <vector>

#include "rules/nft/model.h"

namespace sluice::nft {

// The lines of the rule, which is in `table`; two for a Tproxy. Throws what to_text() does.
std::vector<std::string> rule_texts(const Rule& rule, sluice::Table table);

}  // namespace sluice::nft

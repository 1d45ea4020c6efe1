// SPDX-License-Identifier: GPL-2.0-or-later
// nf_tables' rules as nft(8) reads them.
#pragma once

#include <string>

#include "rules/nft/model.h"

namespace sluice::nft {

// Input for `nft -f`: replaces the table in one transaction. Loaded, it lists (`nft list ruleset`)
// exactly as what rules/kernel/nft writes.
std::string to_text(const Table& table);

}  // namespace sluice::nft

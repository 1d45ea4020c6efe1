// SPDX-License-Identifier: GPL-2.0-or-later
// The text of the settings of BackendSettings (backend.h). Throw Error naming the text.
#pragma once

#include <string>
#include <string_view>

#include "rules/backend.h"

namespace sluice {

// "auto", "xtables" or "nftables".
BackendChoice parse_backend_choice(std::string_view text);

// A name as nft::is_table_name() takes it.
std::string parse_nft_table(std::string_view text);

}  // namespace sluice

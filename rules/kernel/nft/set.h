// SPDX-License-Identifier: GPL-2.0-or-later
// Sets of intervals: each is two elements, its first value and the one behind its last.
#pragma once

#include <optional>

#include "rules/kernel/nft/object.h"
#include "rules/nft/model.h"

namespace sluice::kernel::nft {

// The last interval has no second element where it ends with the last value there is.
SetObject encode_set(const sluice::nft::Set& set);

// The elements in any order. Nothing for what is no plain set of intervals of ports, or of
// addresses that are one prefix each.
std::optional<sluice::nft::Set> decode_set(const SetObject& object);

// The order of encode_set(), whichever the kernel listed them in.
void sort_elements(TableObject& table);

}  // namespace sluice::kernel::nft

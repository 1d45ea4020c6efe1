// SPDX-License-Identifier: GPL-2.0-or-later
// Sets of intervals: each is two elements, its first value and the one behind its last.
#pragma once

#include <cstddef>
#include <optional>

#include "rules/kernel/nft/object.h"
#include "rules/nft/model.h"

namespace sluice::kernel::nft {

// The last interval has no second element where it ends with the last value there is.
SetObject encode_set(const sluice::nft::Set& set);

// The elements in any order. Nothing for what is no plain set of intervals of ports or addresses.
// Throws Error (E2BIG) for a set that would have more than `most` members in the model: an interval
// of addresses can be more than one prefix.
std::optional<sluice::nft::Set> decode_set(const SetObject& object, std::size_t most);

// The order of encode_set(), whichever the kernel listed them in.
void sort_elements(TableObject& table);

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
// Whole tables of the model as nf_tables holds them.
#pragma once

#include "rules/kernel/nft/object.h"
#include "rules/nft/model.h"

namespace sluice::kernel::nft {

// Throws Error as encode_rule().
TableObject encode_table(const sluice::nft::Table& table);

// Whatever is not as the model says reads as an Opaque rule that stands first in its chain: a base
// chain with another type, hook, priority or policy, a built-in chain that is none, a chain whose
// name is none of chain_name()'s. A dormant table has no chains: nothing in it works. Sets that the
// model has no place for are left out, and what refers to them is Opaque.
sluice::nft::Table decode_table(const TableObject& object);

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
// Our part of an x_tables table, replaced in the calling thread's network namespace.
#pragma once

#include <functional>
#include <vector>

#include "rules/backend.h"
#include "rules/rule.h"

namespace sluice::kernel::xt {

// The tables that exist. Asking for a table's contents would create it; this does not. Empty too
// where the kernel has no x_tables of this family. Throws Error.
std::vector<Table> existing_tables(Family family);

// What is ours in a live table.
TableRules owned_part(Family family, const TableRules& live);

// Makes our part of one table equal `wanted` and reads it back. `before_change` is given what it
// was before as soon as it is about to change. Our rules in other chains stay where they stand.
// Returns a notice for each chain where rules of others stand before ours: they decide first and
// are not ours to judge. Throws Error: EAGAIN if another writer won every time, else as XtTable.
Notices replace_owned(Family family, const TableRules& wanted,
                      const std::function<void(TableRules)>& before_change);

}  // namespace sluice::kernel::xt

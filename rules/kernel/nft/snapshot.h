// SPDX-License-Identifier: GPL-2.0-or-later
// What is ours in the calling thread's network namespace, at one moment.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rules/kernel/nft/object.h"
#include "rules/kernel/nft/socket.h"

namespace sluice::kernel::nft {

struct Snapshot {
  std::uint32_t generation = 0;
  // The table that was asked for by name and every other one with a chain of ours (tables.h).
  std::vector<TableObject> tables = {};
  // False: only the tables and their chains; there was more in them than is ever looked at.
  bool whole = true;
};

// Rules, sets and elements too. Throws Error: EAGAIN if other writers came between every time,
// E2BIG if there is more in the namespace than is ever looked at.
Snapshot take_snapshot(Socket& socket, const std::string& table);

// Only the tables and their chains.
Snapshot find_tables(Socket& socket, const std::string& table);

}  // namespace sluice::kernel::nft

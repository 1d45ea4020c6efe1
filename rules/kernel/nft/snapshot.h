// SPDX-License-Identifier: GPL-2.0-or-later
// What is ours in the calling thread's network namespace, at one moment.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "rules/kernel/nft/object.h"
#include "rules/kernel/nft/socket.h"

namespace sluice::kernel::nft {

struct Snapshot {
  std::uint32_t generation = 0;
  // The table that was asked for by name; if there is none, the first of the others.
  std::optional<TableObject> table = std::nullopt;
  // Every other table that is ours (tables.h), sorted by name: only name and flags. Of more than 64
  // some are left out, and so is what comes behind 131,072 chains.
  std::vector<TableObject> others = {};
  // The names of tables that have a chain with a name of ours and are not ours: another chain
  // stands beside it, or may stand behind the 131,072. Of more than 64 some are left out.
  std::set<std::string> shared = {};
  // False: of `table` too there is only the name and the flags.
  bool whole = true;
};

// Throws Error: EAGAIN if somebody changed the table every time, E2BIG if there is more in it than
// is ever looked at. Whatever others write into other tables does not matter.
Snapshot take_snapshot(Socket& socket, const std::string& table);

// Only the names.
Snapshot find_tables(Socket& socket, const std::string& table);

}  // namespace sluice::kernel::nft

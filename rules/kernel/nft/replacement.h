// SPDX-License-Identifier: GPL-2.0-or-later
// Transactions that replace what is ours in the calling thread's network namespace.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rules/backend.h"
#include "rules/error.h"
#include "rules/kernel/nft/batch.h"
#include "rules/kernel/nft/object.h"
#include "rules/kernel/nft/snapshot.h"
#include "rules/kernel/nft/socket.h"

namespace sluice::kernel::nft {

enum class Commit : std::uint8_t {
  if_unchanged,  // nobody wrote anything in the namespace since the snapshot was taken
  anyway,
};

// Takes out of the snapshot the tables that other programs own (NFT_TABLE_F_OWNER), but not
// `table`, and returns a notice for each: a transaction that touches one fails.
Notices leave_owned(Snapshot& snapshot, const std::string& table);

// Whether an errno of a transaction says that the kernel does not have what a message of it names.
bool says_not_offered(int errnum);

// Why the transaction was refused, for people: ENOTSUP naming the modules where the kernel lacks
// what the message needs, else the errno; with the kernel's own words where it has any.
Error explained(const Batch& batch, const Outcome& outcome);

// Deletes the snapshot's tables and creates `tables`, in one transaction. False if somebody wrote
// since the snapshot was taken: nothing was done. True also where the kernel could not tell how it
// ended: read it back. Throws Error: ENOTSUP naming what the kernel lacks, else its errno.
bool replace_tables(Socket& socket, const Snapshot& snapshot,
                    const std::vector<TableObject>& tables, Commit commit);

// Takes out of tables that were read what cannot be written: expressions, sets and hooks that have
// no place in the objects. Returns a notice for each chain or set that loses something.
Notices keep_writable(std::vector<TableObject>& tables);

}  // namespace sluice::kernel::nft

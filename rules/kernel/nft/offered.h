// SPDX-License-Identifier: GPL-2.0-or-later
// Which parts of nf_tables the kernel has, or loads when asked. What is asked creates nothing.
#pragma once

#include "rules/kernel/nft/object.h"
#include "rules/kernel/nft/socket.h"

namespace sluice::kernel::nft {

// Whether the calling thread's namespace has nf_tables. Throws Error (EPERM without CAP_NET_ADMIN
// in it).
bool is_offered();

// Whether it also has what every table of ours takes: base chains of type nat in family inet
// (nft_chain_nat, Linux 5.2) and redir (nft_redir). Throws Error as is_offered().
bool offers_redirection();

// Whether the kernel knows the types of all chains and expressions in the table, by a transaction
// that has no end: the kernel undoes it, as it does for `nft --check`, and neither a list, nor the
// generation, nor who listens to changes tells of it. A dormant table's chains are not even hooked
// up until then; an expression must not come to life, so let it have a value that is refused.
// Throws Error for an answer that says neither.
bool offers(Socket& socket, const TableObject& table);

}  // namespace sluice::kernel::nft

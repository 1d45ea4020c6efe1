// SPDX-License-Identifier: GPL-2.0-or-later
// Rules through nf_tables netlink (NETLINK_NETFILTER, linux/netfilter/nf_tables.h). One table of
// family inet is ours; all of it is replaced by one batch, which the kernel takes whole or not at
// all.
#pragma once

#include <memory>
#include <string>

#include "rules/kernel/rule_tables.h"

namespace sluice::kernel::nft {

// The rules in the inet table `table_name`, or if there is none in the first by name of the others
// that are ours. The table of that name is ours whatever is in it; chains of others that go with it
// are told as a notice. Ours too is every other inet table that has a chain with one of our names
// (chains.h) and no chain with a name that is not nft::chain_name()'s of one of these or of a
// built-in chain: whoever removes need not know what the table was called. One that has others
// beside it stays, does not count, and is told as a notice. write() leaves one table.
// Throws nothing. write() throws Error: ENOTSUP naming what the kernel lacks (nat in an inet table:
// Linux 5.2), EAGAIN if another writer changed the table every time, EPERM where another program
// owns it. Another table of ours that a program owns (flag owner) stays and is told as a notice.
std::unique_ptr<RuleTables> make_tables(const std::string& table_name);

}  // namespace sluice::kernel::nft

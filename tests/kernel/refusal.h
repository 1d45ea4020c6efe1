// SPDX-License-Identifier: GPL-2.0-or-later
// Makes the calling process weaker, for good: only for a child of the tests (in_child). Stands in
// for kernels and containers that this machine is not.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice::kernel {

// Argument `index` of a system call, under `mask`, equals `value`.
struct ArgumentIs {
  unsigned index;
  std::uint32_t value;
  std::uint32_t mask = 0xffffffff;
};

// Lets the system call `number` fail with `errnum` when all of `arguments` hold; seccomp(2).
void refuse(long number, const std::vector<ArgumentIs>& arguments, int errnum);

// The commit of a table. `ipv6` tells the family.
void refuse_commit(bool ipv6, int errnum);

// What libiptc does after the commit of an IPv4 table: adding the counters that the rules had
// before. The kernel refuses it (EINVAL) if another writer has replaced the table meanwhile.
void refuse_counters(int errnum);

// The sockets of a family's x_tables, as in a kernel that has not got the family.
void refuse_ipv6_tables(int errnum);

// Gives up one capability (capabilities(7)), in all sets that the process has.
void drop_capability(int capability);

}  // namespace sluice::kernel

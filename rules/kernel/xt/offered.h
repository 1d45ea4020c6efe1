// SPDX-License-Identifier: GPL-2.0-or-later
// Whether the kernel has x_tables.
#pragma once

#include "rules/ip.h"

namespace sluice::kernel::xt {

// Whether the kernel has, in the revisions that we write, the matches tcp and owner and the target
// REDIRECT for the family. Asks by IPT_SO_GET_REVISION_MATCH and _TARGET
// (linux/netfilter_ipv4/ip_tables.h), which create no table: the kernel may load xt_ modules for
// it, but not ip_tables. Whether it has the table nat is only told by using it. Throws Error (EPERM
// without CAP_NET_ADMIN and CAP_NET_RAW in the calling thread's network namespace).
bool is_offered(Family family);

// errno values by which a kernel says that it has no such family, interface, table or extension.
bool says_unsupported(int errnum);

}  // namespace sluice::kernel::xt

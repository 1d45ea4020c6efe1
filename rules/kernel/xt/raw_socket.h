// SPDX-License-Identifier: GPL-2.0-or-later
// The sockets through which x_tables is read and written: raw(7), which takes CAP_NET_RAW to open
// and CAP_NET_ADMIN to use.
#pragma once

#include "rules/ip.h"
#include "rules/kernel/fd.h"

// What libiptc is compiled to call in place of socket(2): gives out what keep_raw_sockets() keeps.
extern "C" int sluice_kept_socket(int domain, int type, int protocol);

namespace sluice::kernel::xt {

// One for the family, none (with errno) if there is none to be had.
Fd raw_socket(Family family);

// From now on every table of this process uses the sockets that are opened here, in the calling
// thread's network namespace, for both families: for a process that stays there and gives up
// CAP_NET_RAW. A family that the kernel or a missing capability does not let us have is left to its
// first use. Throws Error.
void keep_raw_sockets();

}  // namespace sluice::kernel::xt

// SPDX-License-Identifier: GPL-2.0-or-later
// libiptc trusts that a table which the kernel accepted is laid out as iptables lays it out. The
// kernel checks only what packets can reach, so whoever may write tables in a pod can make libiptc
// dereference NULL, free what was never allocated, or abort, in us. Every table is vetted before
// libiptc parses it.
#pragma once

#include <sys/socket.h>

// What libiptc is compiled to call in place of getsockopt(2), with which it reads a table
// (IPT_SO_GET_INFO, then IPT_SO_GET_ENTRIES; IP6T_* alike). Fails with EUCLEAN if the table is not
// laid out as libiptc needs it, with E2BIG if it has more entries than limit_entries() allows, or
// more than 256 bytes for each of those: libiptc looks rules up by number, one after the other, and
// keeps them all.
extern "C" int sluice_vetted_getsockopt(int fd, int level, int option, void* value,
                                        socklen_t* size);

namespace sluice::kernel::xt {

// Of every table that this process reads from now on; 131,072 before. A program that lives long and
// reads what tenants wrote needs less than a plugin, which must take its own rules out.
void limit_entries(unsigned entries);

}  // namespace sluice::kernel::xt

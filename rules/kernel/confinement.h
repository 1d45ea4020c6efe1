// SPDX-License-Identifier: GPL-2.0-or-later
// What a process gives up that is about to parse what tenants wrote: capabilities(7), seccomp(2).
// For a process of one thread that ends soon; there is no way back.
#pragma once

#include <cstdint>
#include <span>

struct sock_filter;

namespace sluice::kernel {

// Keeps these capabilities (bit(), capability.h), as far as they are there, in all sets but the
// bounding one, and gets no other by execve(2): PR_SET_NO_NEW_PRIVS, under which the bounding set
// has no effect. Throws Error.
void keep_capabilities(std::uint64_t kept);

// Which system calls are left.
enum class Calls : std::uint8_t {
  rules,           // to read and write rules, addresses and routes; to log, print and end
  rules_in_child,  // the same, those of user_namespace.h, and what gives up more later
};

// All others fail with EPERM from now on, which becomes an error with a document that says so: a
// process that is killed says nothing. Files are opened for reading only, memory is never made
// executable. A kernel without filters (CONFIG_SECCOMP_FILTER) goes without. Needs
// PR_SET_NO_NEW_PRIVS. Throws Error.
void filter_system_calls(Calls calls);

// The filter as the kernel takes it, for tests.
std::span<const sock_filter> system_call_filter(Calls calls);

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// Capabilities, capabilities(7): which are needed for what, and which the calling thread has.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rules/error.h"

namespace sluice::kernel {

// The numbers are those of linux/capability.h.
enum class Capability : std::uint8_t {
  dac_read_search = 2,
  net_admin = 12,  // to read and write rules, addresses and routes
  net_raw = 13,    // for the sockets of x_tables
  sys_admin = 21,  // to enter a namespace
};

// "CAP_NET_ADMIN".
const char* to_string(Capability capability);

// As a set, for capset(2).
constexpr std::uint64_t bit(Capability capability) {
  return std::uint64_t{1} << static_cast<unsigned>(capability);
}

// A system call failed with `errnum` while `doing`; where that is EPERM, the message names the
// capability that it needs: "enter the network namespace (needs CAP_SYS_ADMIN): Operation not ...".
Error failed(int errnum, std::string_view doing, Capability needed);

// The effective ones of the calling thread, by capget(2). They count in its user namespace.
// Throws Error.
std::uint64_t effective_capabilities();

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// Files of proc(5) that describe the calling thread's network namespace.
#pragma once

#include <string>

namespace sluice::kernel {

// The contents of /proc/thread-self/net/NAME; empty if there is no such file, which is how the
// kernel says that it lacks the protocol. Throws Error.
std::string read_proc_net(const std::string& name);

}  // namespace sluice::kernel

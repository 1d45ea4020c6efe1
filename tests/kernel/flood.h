// SPDX-License-Identifier: GPL-2.0-or-later
// What a process of the pod can do to our netlink sockets.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice::kernel {

// Sends to the netlink(7) socket with this port in the calling thread's namespace until it takes no
// more; returns errno: EAGAIN where there is no room left, ECONNREFUSED where strangers get
// nothing.
int flood(int protocol, std::uint32_t port);

// The ports of the sockets of this protocol in the calling thread's namespace, as anybody there can
// list them, but for those that have none.
std::vector<std::uint32_t> netlink_ports(int protocol);

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// The socket that plugins connect to, unix(7).
#pragma once

#include <string>

#include "rules/kernel/fd.h"

namespace sluice::agent {

// A listening, non-blocking SOCK_SEQPACKET socket, mode 0600, at `path`. Its folder is made with
// mode 0700 where it is missing (not its parents). It appears at once, in place of what was there:
// a connection is refused at no moment if another agent listened until then. Throws Error: the
// folder can be written by others, the path is too long for sun_path, a system call failed.
kernel::Fd listen_at(const std::string& path);

// An open file description of one connection that waits; none where there is none. Throws Error
// where it is not the peer's fault.
kernel::Fd accept_from(int listener);

// The UID of a connection's other side in our user namespace, as of its connect(2); -1 where it is
// not known.
long peer_uid(int connection);

}  // namespace sluice::agent

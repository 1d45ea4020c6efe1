// SPDX-License-Identifier: GPL-2.0-or-later
// Work that the kernel only takes from within a pod's user namespace: user_namespaces(7), setns(2).
#pragma once

#include <functional>

#include "rules/backend.h"
#include "rules/kernel/fd.h"

namespace sluice::kernel {

// Runs `action` in a child that has entered the user namespace and then the network namespace:
// setns(2) lets only a process of one thread into a user namespace, and none back. Returns what it
// returned, or throws Error with the code and the sentence of what it threw, or EIO if the child
// did not get as far, "was killed by signal 9". A child that hangs is ended after 10 s by SIGALRM.
// What interrupts the parent (throw_if_interrupted()) is passed on as SIGTERM, which its handler,
// if there is one, takes in the child too; a child that does not end is killed 0.8 s later. What is
// thrown then is the interruption, and nothing if the child was done before.
// The child is killed when the calling thread dies (PR_SET_PDEATHSIG), however that comes about,
// and holds none of the standard streams that the process was started with: nobody waits for it.
// Locks on open files are the child's too, so whoever takes the parent's next knows that both are
// gone. Needs CAP_SYS_ADMIN in the user namespace. `action` must not rely on other threads, nor
// print.
Notices in_user_namespace(const Fd& user_namespace, int netns,
                          const std::function<Notices()>& action);

}  // namespace sluice::kernel

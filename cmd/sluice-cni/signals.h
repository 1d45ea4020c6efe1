// SPDX-License-Identifier: GPL-2.0-or-later
// What ends the plugin before it is done: SIGTERM, SIGINT and its deadline. All of it is state of
// the process.
#pragma once

#include <chrono>

namespace sluice::cmd {

// From now on throw_if_interrupted() throws Error with cni::Code::try_again_later when SIGTERM or
// SIGINT has come, whatever the parent process made of them, or `deadline` has passed (by
// CLOCK_MONOTONIC). Nothing waits in a system call beyond that.
void catch_signals(std::chrono::milliseconds deadline);

// Another deadline, from the call of catch_signals() on.
void set_deadline(std::chrono::milliseconds deadline);

// When the outcome is known. If the call was interrupted, what is left of the process, printing,
// ends within a second, by a signal if it must.
void end_interruption();

}  // namespace sluice::cmd

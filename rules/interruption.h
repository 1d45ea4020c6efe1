// SPDX-License-Identifier: GPL-2.0-or-later
// Whether the program has been told to end, asked wherever something waits or is about to write. A
// main knows (signals, deadline) and says so; without one nothing is ever interrupted.
#pragma once

#include <optional>

#include "rules/error.h"

namespace sluice {

// What the current operation is to end with, nothing while it may go on. Must be cheap: it is asked
// before each write.
using Interruption = std::optional<Error> (*)();

// nullptr: nothing interrupts. Not for programs with threads.
void set_interruption(Interruption interruption);

// Throws what the interruption says. Once in the process: putting back what was done before must
// not be interrupted too.
void throw_if_interrupted();

// While one exists throw_if_interrupted() does nothing: for putting back.
class Uninterrupted {
 public:
  Uninterrupted();
  Uninterrupted(const Uninterrupted&) = delete;
  Uninterrupted(Uninterrupted&&) = delete;
  Uninterrupted& operator=(const Uninterrupted&) = delete;
  Uninterrupted& operator=(Uninterrupted&&) = delete;
  ~Uninterrupted();
};

}  // namespace sluice

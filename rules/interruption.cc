// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/interruption.h"

#include <atomic>

namespace sluice {
namespace {

// Asked by every thread of a program that sets none, too.
std::atomic<Interruption> current{nullptr};
thread_local int uninterrupted = 0;

}  // namespace

void set_interruption(Interruption interruption) {
  current = interruption;
}

void throw_if_interrupted() {
  const Interruption interruption = current;
  if (interruption == nullptr || uninterrupted > 0) return;
  const std::optional<Error> error = interruption();
  if (!error) return;
  current = nullptr;
  throw Error(*error);
}

Uninterrupted::Uninterrupted() {
  ++uninterrupted;
}

Uninterrupted::~Uninterrupted() {
  --uninterrupted;
}

}  // namespace sluice

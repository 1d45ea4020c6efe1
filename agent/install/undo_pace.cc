// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/undo_pace.h"

#include <algorithm>

namespace sluice::agent {
namespace {

constexpr int war = 3;
constexpr std::chrono::minutes quiet{5};
constexpr std::chrono::seconds longest{60};

}  // namespace

bool UndoPace::undone(Clock::time_point now) {
  ++times_;
  last_ = now;
  constexpr int most_doublings = 6;
  const std::chrono::seconds delay{times_ < 2 ? 0 : 1 << std::min(times_ - 2, most_doublings)};
  not_before_ = now + std::min(delay, longest);
  return times_ == war;
}

bool UndoPace::settled(Clock::time_point now) {
  if (times_ == 0 || now - last_ < quiet) return false;
  const bool was_war = times_ >= war;
  times_ = 0;
  return was_war;
}

}  // namespace sluice::agent

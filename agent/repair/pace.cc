// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/pace.h"

#include <algorithm>

namespace sluice::agent {

Clock::time_point WindowLimit::next(Clock::time_point now) {
  if (most_ == 0) return Clock::time_point::max();
  if (counted_.size() < most_) return now;
  return std::max(now, counted_.front() + window_);
}

void WindowLimit::count(Clock::time_point now) {
  counted_.push_back(now);
  if (counted_.size() > most_) counted_.pop_front();
}

Clock::duration Pauses::next() {
  constexpr std::size_t most_doublings = 20;
  const std::size_t doublings = std::min(failures_++, most_doublings);
  return std::min(longest_, first_ * (1U << doublings));
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// How often something may be done, and how long to wait before trying again.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>

namespace sluice::agent {

using Clock = std::chrono::steady_clock;

// At most `most` within any `window`; none at all where `most` is 0.
class WindowLimit {
 public:
  WindowLimit(std::size_t most, Clock::duration window) : most_(most), window_(window) {}

  // From when on one more is allowed: `now` or later.
  Clock::time_point next(Clock::time_point now);
  void count(Clock::time_point now);

 private:
  std::size_t most_;
  Clock::duration window_;
  std::deque<Clock::time_point> counted_;  // at most `most_`, the oldest first
};

// Pauses that double from `first` to `longest`.
class Pauses {
 public:
  Pauses(Clock::duration first, Clock::duration longest) : first_(first), longest_(longest) {}

  Clock::duration next();
  void reset() { failures_ = 0; }
  // How often next() was asked since the last reset().
  std::size_t failures() const { return failures_; }

 private:
  Clock::duration first_;
  Clock::duration longest_;
  std::size_t failures_ = 0;
};

}  // namespace sluice::agent

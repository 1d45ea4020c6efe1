// SPDX-License-Identifier: GPL-2.0-or-later
// Lets so much pass in each second and counts the rest.
#pragma once

#include <chrono>
#include <cstdint>

namespace sluice::agent {

// Not thread-safe. Time is passed in: a test has its own.
class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;

  explicit RateLimit(std::uint64_t per_second) : per_second_(per_second) {}

  // Whether one more may pass.
  bool admit(Clock::time_point now) {
    if (now - start_ >= std::chrono::seconds(1)) {
      start_ = now;
      passed_ = 0;
    }
    if (passed_ == per_second_) {
      ++dropped_;
      return false;
    }
    ++passed_;
    return true;
  }

  // How many did not pass since this was last asked, once the second that they came in is over;
  // 0 until then.
  std::uint64_t take_dropped(Clock::time_point now) {
    if (dropped_ == 0 || now - start_ < std::chrono::seconds(1)) return 0;
    const std::uint64_t dropped = dropped_;
    dropped_ = 0;
    return dropped;
  }

  bool has_dropped() const { return dropped_ != 0; }

 private:
  std::uint64_t per_second_;
  std::uint64_t passed_ = 0;
  std::uint64_t dropped_ = 0;
  Clock::time_point start_ = {};
};

}  // namespace sluice::agent

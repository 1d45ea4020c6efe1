// SPDX-License-Identifier: GPL-2.0-or-later
// How soon to put back what somebody else has taken out. Two installers that both insist would
// otherwise rewrite a file for ever, and every runtime would load it each time.
#pragma once

#include <chrono>

namespace sluice::agent {

class UndoPace {
 public:
  using Clock = std::chrono::steady_clock;

  // What was undone has been put back at `now`. True if it is the third time without five quiet
  // minutes in between: from here on it is a war.
  bool undone(Clock::time_point now);

  // Not before this may the next pass be: at once after the first time, then 1 s, 2 s, 4 s... after
  // the last time, at most a minute.
  Clock::time_point not_before() const { return not_before_; }

  // Whether five minutes have been quiet; the next time is then the first again. True once, and
  // only if there was a war.
  bool settled(Clock::time_point now);

 private:
  int times_ = 0;
  Clock::time_point last_ = {};
  Clock::time_point not_before_ = {};
};

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/backoff.h"

#include <algorithm>
#include <thread>

namespace sluice::agent {

std::chrono::milliseconds Backoff::next() {
  std::uniform_int_distribution<std::int64_t> within(step_.count() / 2, step_.count());
  const std::chrono::milliseconds delay(within(random_));
  step_ = std::min(step_ * 2, longest);
  return delay;
}

void wait_unless(const std::function<bool()>& stop, std::chrono::milliseconds delay) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds slice{100};
  const auto end = Clock::now() + delay;
  while (!stop()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    if (left <= std::chrono::milliseconds::zero()) return;
    std::this_thread::sleep_for(std::min(left, slice));
  }
}

}  // namespace sluice::agent

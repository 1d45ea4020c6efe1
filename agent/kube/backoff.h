// SPDX-License-Identifier: GPL-2.0-or-later
// How long to wait before the API server is asked again.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <random>

namespace sluice::agent {

// Doubles from 200 ms to 30 s; each delay is drawn from the upper half of its step, so that the
// agents of a cluster do not come back at the same moment.
class Backoff {
 public:
  static constexpr std::chrono::milliseconds shortest{200};
  static constexpr std::chrono::milliseconds longest{30'000};

  explicit Backoff(std::uint32_t seed = std::random_device{}()) : random_(seed) {}

  // Between `shortest` and `longest`.
  std::chrono::milliseconds next();
  void reset() { step_ = shortest * 2; }

 private:
  std::mt19937 random_;
  std::chrono::milliseconds step_ = shortest * 2;
};

// Waits for `delay`; returns soon, asking at least every 100 ms, after `stop` says true.
void wait_unless(const std::function<bool()>& stop, std::chrono::milliseconds delay);

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/health.h"

#include <catch2/catch.hpp>
#include <thread>

namespace sluice::agent {

TEST_CASE("a loop that no longer turns is named, one that never began is not") {
  using std::chrono::milliseconds;
  Health health;
  CHECK(health.stuck(milliseconds(0)).empty());
  health.turned("repair");
  health.turned("watch");
  CHECK(health.stuck(std::chrono::minutes(5)).empty());
  std::this_thread::sleep_for(milliseconds(30));
  CHECK(health.stuck(milliseconds(20)) == "repair, watch");
  health.turned("watch");
  CHECK(health.stuck(milliseconds(20)) == "repair");
  CHECK_FALSE(health.ready());
}

}  // namespace sluice::agent

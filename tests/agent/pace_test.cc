// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/pace.h"

#include <catch2/catch.hpp>

namespace sluice::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Clock::time_point start = Clock::time_point() + std::chrono::hours(1);

}  // namespace

TEST_CASE("a rate limit counts within a window that moves", "[pace]") {
  WindowLimit limit(2, seconds(60));
  CHECK(limit.next(start) == start);
  limit.count(start);
  limit.count(start + seconds(10));
  CHECK(limit.next(start + seconds(20)) == start + seconds(60));
  limit.count(start + seconds(60));
  CHECK(limit.next(start + seconds(61)) == start + seconds(70));
  CHECK(limit.next(start + seconds(80)) == start + seconds(80));
}

TEST_CASE("a rate of none never allows one", "[pace]") {
  WindowLimit limit(0, seconds(1));
  CHECK(limit.next(start) == Clock::time_point::max());
}

TEST_CASE("pauses double up to the longest and begin anew", "[pace]") {
  Pauses pauses(milliseconds(200), seconds(30));
  CHECK(pauses.next() == milliseconds(200));
  CHECK(pauses.next() == milliseconds(400));
  for (int i = 0; i < 100; ++i) pauses.next();
  CHECK(pauses.next() == seconds(30));
  CHECK(pauses.failures() == 103);
  pauses.reset();
  CHECK(pauses.next() == milliseconds(200));
}

}  // namespace sluice::agent

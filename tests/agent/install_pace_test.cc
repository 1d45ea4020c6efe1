// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <string>

#include "agent/install/status_lines.h"
#include "agent/install/undo_pace.h"

namespace sluice::agent {

using std::chrono::minutes;
using std::chrono::seconds;

TEST_CASE("what is undone is put back at once the first time, then more and more rarely") {
  UndoPace pace;
  UndoPace::Clock::time_point now{minutes(60)};
  int wars = 0;
  for (const int delay : {0, 1, 2, 4, 8, 16, 32, 60, 60, 60}) {
    wars += pace.undone(now) ? 1 : 0;
    CHECK(pace.not_before() == now + seconds(delay));
    now = pace.not_before() + seconds(2);
    CHECK_FALSE(pace.settled(now));
  }
  CHECK(wars == 1);
  CHECK(pace.settled(now + minutes(5)));
  CHECK_FALSE(pace.settled(now + minutes(6)));
  pace.undone(now + minutes(7));
  CHECK(pace.not_before() == now + minutes(7));
}

TEST_CASE("two restarts of an owner are no war") {
  UndoPace pace;
  const UndoPace::Clock::time_point now{minutes(60)};
  CHECK_FALSE(pace.undone(now));
  CHECK_FALSE(pace.undone(now + minutes(1)));
  CHECK_FALSE(pace.settled(now + minutes(7)));
  CHECK_FALSE(pace.undone(now + minutes(8)));
}

TEST_CASE("a status is told when it changes, and every five minutes while it waits") {
  StatusLines lines;
  const StatusLines::Clock::time_point now{minutes(60)};
  const InstallStatus waiting{.why = "no file"};
  const InstallStatus installed{.outcome = InstallOutcome::installed, .why = "there"};
  CHECK(lines.due(waiting, now));
  CHECK_FALSE(lines.due(waiting, now + minutes(4)));
  CHECK(lines.due(waiting, now + minutes(5)));
  CHECK(lines.due(installed, now + minutes(6)));
  CHECK_FALSE(lines.due(installed, now + minutes(60)));
  CHECK(lines.due(waiting, now + minutes(61)));
}

TEST_CASE("a status that changes all the time is not told all the time") {
  StatusLines lines;
  StatusLines::Clock::time_point now{minutes(60)};
  int told = 0;
  for (int i = 0; i < 200; ++i) {
    told += lines.due({.why = "at byte " + std::to_string(i)}, now) ? 1 : 0;
    now += seconds(1);
  }
  CHECK(told == 10);
  CHECK(lines.due({.why = "at byte 200"}, now + minutes(5)));
}

}  // namespace sluice::agent

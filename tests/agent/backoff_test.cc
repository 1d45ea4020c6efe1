// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/backoff.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "agent/kube/event_table.h"

namespace sluice::agent {

using std::chrono::milliseconds;

TEST_CASE("delays double, stay within their limits and differ between agents") {
  std::set<std::int64_t> firsts;
  bool within = true;
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    Backoff backoff(seed);
    milliseconds step = Backoff::shortest;
    for (int attempt = 0; attempt < 12; ++attempt) {
      const milliseconds delay = backoff.next();
      within = within && delay >= step && delay <= std::min(step * 2, Backoff::longest);
      if (attempt == 0) firsts.insert(delay.count());
      step = std::min(step * 2, Backoff::longest / 2);
    }
  }
  CHECK(within);
  CHECK(firsts.size() > 50);
}

TEST_CASE("after a success delays are short again") {
  Backoff backoff;
  for (int attempt = 0; attempt < 12; ++attempt) backoff.next();
  CHECK(backoff.next() >= Backoff::longest / 2);
  backoff.reset();
  CHECK(backoff.next() <= Backoff::shortest * 2);
}

TEST_CASE("a wait ends when it is told to") {
  int asked = 0;
  const auto start = std::chrono::steady_clock::now();
  wait_unless([&] { return ++asked == 3; }, std::chrono::hours(1));
  CHECK(asked == 3);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::minutes(1));
}

TEST_CASE("a wait lasts as long as asked for") {
  const auto start = std::chrono::steady_clock::now();
  wait_unless([] { return false; }, milliseconds(150));
  CHECK(std::chrono::steady_clock::now() - start >= milliseconds(150));
}

TEST_CASE("an event is known for ten minutes after it was last counted") {
  EventTable table;
  const EventTable::Key key{"u-1", "Repaired", "text"};
  const auto now = EventTable::Clock::now();
  table.put(key, {.name_space = "demo", .name = "a", .count = 1, .last = now});
  CHECK(table.find({"u-2", "Repaired", "text"}, now) == nullptr);
  EventTable::Entry* entry = table.find(key, now + std::chrono::minutes(9));
  REQUIRE(entry != nullptr);
  EventTable::count(*entry, now + std::chrono::minutes(9));
  CHECK(entry->count == 2);
  CHECK(table.find(key, now + std::chrono::minutes(18)) != nullptr);
  CHECK(table.find(key, now + std::chrono::minutes(20)) == nullptr);
}

TEST_CASE("the table of events forgets the oldest beyond its limit") {
  EventTable table;
  const auto start = EventTable::Clock::now();
  const auto put = [&](std::size_t number) {
    table.put({std::to_string(number), "", ""}, {.last = start + std::chrono::seconds(number)});
  };
  for (std::size_t number = 0; number < EventTable::limit; ++number) put(number);
  put(0);  // counted again: no place is needed
  CHECK(table.size() == EventTable::limit);
  put(EventTable::limit);
  CHECK(table.size() == EventTable::limit);
  CHECK(table.find({"0", "", ""}, start) == nullptr);
  CHECK(table.find({"1", "", ""}, start) != nullptr);
}

TEST_CASE("suffixes of names differ") {
  EventTable table;
  std::set<std::string> suffixes;
  for (int i = 0; i < 1000; ++i) suffixes.insert(table.unique_suffix());
  CHECK(suffixes.size() == 1000);
  CHECK(suffixes.begin()->size() == 16);
}

}  // namespace sluice::agent

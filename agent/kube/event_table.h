// SPDX-License-Identifier: GPL-2.0-or-later
// Which events were written lately, so that the same one is counted instead of written again.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <tuple>

namespace sluice::agent {

class EventTable {
 public:
  using Clock = std::chrono::steady_clock;
  using Key = std::tuple<std::string, std::string, std::string>;  // pod UID, reason, message
  struct Entry {
    std::string name_space = {};
    std::string name = {};  // of the v1.Event
    std::int32_t count = 0;
    Clock::time_point last = Clock::now();
  };
  static constexpr std::chrono::minutes lifetime{10};
  static constexpr std::size_t limit = 512;

  // nullptr if it was not written, or not within the last ten minutes. Valid until the next put().
  Entry* find(const Key& key, Clock::time_point now = Clock::now());
  // Beyond the limit the oldest entry is forgotten.
  void put(const Key& key, Entry entry);
  static void count(Entry& entry, Clock::time_point now = Clock::now());
  std::size_t size() const { return entries_.size(); }

  // 16 hexadecimal digits that make a name new in the cluster.
  std::string unique_suffix();

 private:
  std::map<Key, Entry> entries_ = {};
  std::mt19937_64 random_ = std::mt19937_64(std::random_device{}());
};

// The wall clock as v1.Time is written: "2026-01-31T12:00:00Z".
std::string rfc3339_now();

}  // namespace sluice::agent

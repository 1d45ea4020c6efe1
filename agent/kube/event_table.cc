// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/event_table.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <limits>
#include <utility>

namespace sluice::agent {

EventTable::Entry* EventTable::find(const Key& key, Clock::time_point now) {
  const auto found = entries_.find(key);
  if (found == entries_.end() || now - found->second.last > lifetime) return nullptr;
  return &found->second;
}

void EventTable::put(const Key& key, Entry entry) {
  if (entries_.size() >= limit && !entries_.contains(key)) {
    entries_.erase(std::min_element(
        entries_.begin(), entries_.end(),
        [](const auto& a, const auto& b) { return a.second.last < b.second.last; }));
  }
  entries_.insert_or_assign(key, std::move(entry));
}

void EventTable::count(Entry& entry, Clock::time_point now) {
  if (entry.count < std::numeric_limits<std::int32_t>::max()) ++entry.count;
  entry.last = now;
}

std::string EventTable::unique_suffix() {
  // The seed has 32 bits only; the time tells agents apart that drew the same.
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  const std::uint64_t number = random_() ^ static_cast<std::uint64_t>(now);
  constexpr std::array<char, 17> digits{"0123456789abcdef"};
  std::string text;
  for (unsigned shift = 64; shift > 0; shift -= 4)
    text += digits.at((number >> (shift - 4)) & 0xfU);
  return text;
}

std::string rfc3339_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc = {};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return {text.data(), size};
}

}  // namespace sluice::agent

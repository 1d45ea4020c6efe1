// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the number of a label's values bounded: each is a time series for as long as the agent
// runs.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>

namespace sluice::agent {

inline constexpr const char* other_value = "other";

// `value` if it is one of `known`, else "other".
std::string one_of(std::initializer_list<std::string_view> known, const std::string& value);

// Values that are not known in advance: words of 1 to 32 of a-z, 0-9 and '-', the first `limit`
// that come. Empty is a value. Not thread-safe.
class WordSet {
 public:
  explicit WordSet(std::size_t limit) : limit_(limit) {}

  // `word`, or "other".
  std::string admit(const std::string& word);

 private:
  std::size_t limit_;
  std::set<std::string> words_;
};

}  // namespace sluice::agent

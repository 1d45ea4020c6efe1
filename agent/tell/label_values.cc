// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tell/label_values.h"

#include <algorithm>

namespace sluice::agent {
namespace {

bool is_word(const std::string& text) {
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789-";
  return text.size() <= 32 && text.find_first_not_of(allowed) == std::string::npos;
}

}  // namespace

std::string one_of(std::initializer_list<std::string_view> known, const std::string& value) {
  return std::find(known.begin(), known.end(), value) == known.end() ? other_value : value;
}

std::string WordSet::admit(const std::string& word) {
  if (word.empty() || words_.contains(word)) return word;
  if (words_.size() == limit_ || !is_word(word)) return other_value;
  words_.insert(word);
  return word;
}

}  // namespace sluice::agent

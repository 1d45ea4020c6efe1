// SPDX-License-Identifier: GPL-2.0-or-later
// What the parsers of lists share; rules/parse.h says what a list is.
#pragma once

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rules/error.h"
#include "rules/parse.h"

namespace sluice {

// Without blanks (space, tab) at both ends.
std::string_view trimmed(std::string_view text);

// Throws Error if `element` is "*".
void refuse_wildcard(std::string_view element);

// Throws Error if `text` is longer than value_size_limit.
void refuse_oversize(std::string_view text);

// Calls `visit` for each element between `separator`s, without the blanks around it.
template <class Visit>
void for_each_element(std::string_view text, char separator, Visit visit) {
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    visit(trimmed(text.substr(begin, end - begin)));
    begin = end + 1;
  }
}

// Calls `parse` for each element between `separator`s and returns the distinct results in order.
template <class Parse>
auto parse_list(std::string_view text, Parse parse, char separator = ',') {
  using Element = decltype(parse(text));
  refuse_oversize(text);
  std::vector<Element> list;
  std::set<Element> seen;
  if (trimmed(text).empty()) return list;
  std::size_t count = 0;
  for_each_element(text, separator, [&](std::string_view element) {
    if (++count > list_length_limit) {
      throw Error("the list has more than " + std::to_string(list_length_limit) + " elements");
    }
    if (element.empty()) throw Error("the list " + quote(text) + " has an empty element");
    Element parsed = parse(element);
    if (seen.insert(parsed).second) list.push_back(std::move(parsed));
  });
  return list;
}

}  // namespace sluice

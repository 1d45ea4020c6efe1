// SPDX-License-Identifier: GPL-2.0-or-later
// Where the values of a JSON text stand in it, so that one can be replaced and every other byte
// kept. All functions expect text that cni::parse_json has accepted, and positions that came from
// here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::agent {

// Bytes `begin` to `end` - 1.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

struct MemberSpan {
  std::string key;  // decoded
  Span value;
};

// The one value of the text, without the white space around it.
Span root_span(std::string_view text);

// The members of the object at `object`, in their order; a key that stands twice is there twice.
// Empty if there is no object.
std::vector<MemberSpan> member_spans(std::string_view text, Span object);

// The elements of the array at `array`. Empty if there is no array.
std::vector<Span> element_spans(std::string_view text, Span array);

inline std::string_view at(std::string_view text, Span span) {
  return text.substr(span.begin, span.end - span.begin);
}

}  // namespace sluice::agent

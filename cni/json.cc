// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/json.h"

#include <algorithm>

#include "cni/code.h"
#include "rules/error.h"

namespace sluice::cni {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// The deepest nesting of brackets outside of strings. The parser itself does not recurse, but it
// would build a value whose printing does.
std::size_t nesting(std::string_view text) {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

// Where the library stopped. Its own message quotes what it read, which may be secret, long and in
// any encoding.
std::string reason(const Json::parse_error& error) {
  return "at byte " + std::to_string(error.byte);
}

}  // namespace

Json parse_json(std::string_view text, const std::string& what) {
  if (nesting(text) > json_depth_limit) {
    throw Error(Code::decoding_failure,
                what + " is nested deeper than " + std::to_string(json_depth_limit) + " levels");
  }
  // The library skips a byte order mark and takes a NUL for the end of the text.
  const bool has_mark = text.substr(0, 3) == "\xef\xbb\xbf";
  if (has_mark || text.find('\0') != std::string_view::npos) {
    throw Error(Code::decoding_failure, what + " is not valid JSON: it has a " +
                                            (has_mark ? "byte order mark" : "NUL byte"));
  }
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw Error(Code::decoding_failure, what + " is not valid JSON " + reason(error));
  } catch (const Json::exception&) {
    throw Error(Code::decoding_failure, what + " is not valid JSON: a number is out of range");
  }
}

const Json* find_member(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto exact = object.find(std::string(key));
  if (exact != object.end()) return &*exact;
  for (auto member = object.begin(); member != object.end(); ++member) {
    if (equal_ignoring_case(member.key(), key)) return &member.value();
  }
  return nullptr;
}

const Json* find_value(const Json& object, std::string_view key) {
  const Json* member = find_member(object, key);
  return member == nullptr || member->is_null() ? nullptr : member;
}

std::string to_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace sluice::cni

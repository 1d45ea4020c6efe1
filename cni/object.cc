// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/object.h"

#include "rules/error.h"

namespace sluice::cni {

const Json& member(const Json& object, const char* key) {
  static const Json none;
  if (!object.is_object()) return none;
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

std::string string_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::string string_or(const Json& value, const std::string& absent, const std::string& what) {
  if (value.is_null()) return absent;
  if (!value.is_string()) throw Error(what + " is not a string");
  return value.get<std::string>();
}

const Json& array_or_empty(const Json& value, const std::string& what) {
  static const Json empty = Json::array();
  if (value.is_null()) return empty;
  if (!value.is_array()) throw Error(what + " is not an array");
  return value;
}

}  // namespace sluice::cni

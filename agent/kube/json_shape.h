// SPDX-License-Identifier: GPL-2.0-or-later
// Which parts of a large JSON object are wanted, and a parser that never stores the others.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cni/json.h"

namespace sluice::agent {

// Of objects the members named here are kept, of arrays all elements if `elements` is set. Strings,
// numbers, booleans and null are kept whatever the shape; so is the fact that an object or an array
// stands where another type is wanted, but nothing of what is in it.
struct Shape {
  std::vector<std::pair<std::string_view, const Shape*>> members = {};
  const Shape* elements = nullptr;

  // nullptr: not kept.
  const Shape* member(std::string_view key) const;
};

// Strict as cni::parse_json, in linear time, whatever is nested in what is not kept; of a key that
// stands twice the last value counts. Throws Error that calls the text `what`.
cni::Json parse_shaped(std::string_view text, const Shape& shape, const std::string& what);

// The same selection of a value that is parsed already.
cni::Json shaped(const cni::Json& value, const Shape& shape);

}  // namespace sluice::agent

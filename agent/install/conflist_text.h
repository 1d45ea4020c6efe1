// SPDX-License-Identifier: GPL-2.0-or-later
// The bytes of an edited network configuration.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/install/json_text.h"
#include "cni/json.h"

namespace sluice::agent {

struct ListChange {
  // Written in the place of element `at`, or behind the last one if there is no such element.
  std::optional<cni::Json> put = {};
  std::size_t at = 0;
  // Indexes of the elements to take out, in rising order; `at` is not among them.
  std::vector<std::size_t> out = {};
};

// `text` with the change made to the array, whose elements are `elements` (at least one). The new
// entry is indented as its neighbours are.
std::string changed_text(std::string_view text, Span array, const std::vector<Span>& elements,
                         const ListChange& change);

// A list of a plugin and our entry. `version` and `name` are JSON strings as they stand in the
// plugin's own text; an empty `version` leaves the member out.
std::string list_text(std::string_view version, std::string_view name, std::string_view plugin,
                      const cni::Json& entry);

}  // namespace sluice::agent

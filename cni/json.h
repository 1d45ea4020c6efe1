// SPDX-License-Identifier: GPL-2.0-or-later
// JSON that tenants and other programs wrote.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sluice::cni {

using Json = nlohmann::json;

// Values may be nested this deep; printing and destroying recurse.
inline constexpr std::size_t json_depth_limit = 1024;

// Strict RFC 8259, one value and nothing behind it but white space; of a key that stands twice the
// last value counts. Throws Error with Code::decoding_failure that calls the text `what`.
Json parse_json(std::string_view text, const std::string& what);

// The member `key` of an object: of that exact spelling, else of the same letters in either case
// (the runtimes' own decoder does not tell them apart). nullptr if it is absent or `object` is no
// object; a member that is null is returned.
const Json* find_member(const Json& object, std::string_view key);

// As find_member, but nullptr for null too.
const Json* find_value(const Json& object, std::string_view key);

// One line, valid UTF-8 whatever the values hold.
std::string to_line(const Json& value);

// ASCII letters are compared in lower case.
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace sluice::cni

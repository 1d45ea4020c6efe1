// SPDX-License-Identifier: GPL-2.0-or-later
// The three generations of the result's format, and the way from each to each.
#pragma once

#include <string>
#include <string_view>

#include "cni/json.h"

namespace sluice::cni {

enum class ResultFormat {
  ip4_ip6,      // 0.1.0, 0.2.0
  typed_ips,    // 0.3.0 to 0.4.0: ips[].version
  untyped_ips,  // 1.0.0, 1.1.0
};

// Throws Error with Code::decoding_failure that says so of prevResult.
[[noreturn]] void refuse_result(const std::string& sentence);

// `version` must be a supported one.
ResultFormat format_of(std::string_view version);

// `result`, an object, in another format and labelled `version`. Members that the other format has
// no place for are dropped as the reference implementation drops them. Throws Error with
// Code::decoding_failure if a member that must be read is ill-formed, or if the oldest format is
// asked for and there is no address.
Json convert_result(const Json& result, ResultFormat from, ResultFormat to);

}  // namespace sluice::cni

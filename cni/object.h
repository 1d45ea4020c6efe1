// SPDX-License-Identifier: GPL-2.0-or-later
// Members of Kubernetes' objects. Their keys are case-sensitive, and null is as good as absent.
#pragma once

#include <string>

#include "cni/json.h"

namespace sluice::cni {

// The member `key`; null if it is absent or `object` is no object.
const Json& member(const Json& object, const char* key);

// The string; empty if it is something else.
std::string string_of(const Json& value);

// The string, or `absent` for null. Throws Error that calls it `what` if it is something else.
std::string string_or(const Json& value, const std::string& absent, const std::string& what);

// The array, empty for null. Throws likewise.
const Json& array_or_empty(const Json& value, const std::string& what);

}  // namespace sluice::cni

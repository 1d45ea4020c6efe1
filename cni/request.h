// SPDX-License-Identifier: GPL-2.0-or-later
// What a runtime sends on stdin: SPEC.md "Execution configuration" of CNI 1.1.0.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cni/environment.h"
#include "cni/json.h"

namespace sluice::cni {

struct Request {
  std::string name;     // of the network
  std::string version;  // cniVersion; "0.1.0" where it is absent
  Json config;          // the whole object
};

// All versions of the specification, oldest first.
const std::vector<std::string>& supported_versions();
// The newest one.
const std::string& current_version();
// At which place `version` stands among the supported ones; nothing if it does not.
std::optional<std::size_t> version_index(std::string_view version);
bool at_least(std::string_view version, std::string_view oldest);

// Decodes and validates what every command needs: an object, its name, its version. Throws Error
// with Code::decoding_failure, invalid_config or incompatible_version, in this order. CHECK needs
// 0.4.0, GC and STATUS need 1.1.0.
Request read_request(Command command, std::string_view text);

}  // namespace sluice::cni

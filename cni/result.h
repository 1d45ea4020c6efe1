// SPDX-License-Identifier: GPL-2.0-or-later
// What the plugin prints: the previous plugin's result, errors, versions. SPEC.md "Result Types".
#pragma once

#include <string>
#include <vector>

#include "cni/code.h"
#include "cni/json.h"
#include "cni/request.h"
#include "rules/ip.h"

namespace sluice::cni {

// prevResult as the configuration's version spells it, whatever version it came in: what ADD
// prints. Within one generation of the format (0.1 and 0.2, 0.3 and 0.4, 1.x) only the label
// changes and unknown members stay. Throws Error: Code::invalid_config if it is absent,
// decoding_failure if it is ill-formed or of an unknown version.
Json previous_result(const Request& request);

// The addresses that `result` gives to the interface `ifname` inside the sandbox, in order;
// addresses that belong to no listed interface count too. Throws Error with
// Code::decoding_failure if they are ill-formed.
std::vector<IpAddress> addresses_of(const Json& result, const std::string& ifname);

// As much of a message as fits into an Event with what is put before it: 900 bytes, then "...".
std::string clipped(std::string message);

// One line with a newline.
std::string version_document();
// {"cniVersion","code","msg","details"}: `msg` is one line under 1 KiB.
std::string error_document(const std::string& version, Code code, const std::string& message,
                           const std::string& details);

}  // namespace sluice::cni

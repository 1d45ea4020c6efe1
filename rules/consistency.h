// SPDX-License-Identifier: GPL-2.0-or-later
// Settings that are valid one by one and not together. Asked once, when all sources of a
// configuration have been merged.
#pragma once

#include "rules/redirect.h"

namespace sluice {

// Throws Error naming the settings (by their keys in the network configuration) and their values.
// Nothing is refused in mode none, which writes nothing.
//
// Refused are: dnsCapture "resolvers" where no resolver is known (it would capture nothing, or
// everything, and either is a guess); excluded owner groups beside a list of included ones;
// listeners of the sidecar that share a port; the mark of outbound calls for inbound ones in mode
// tproxy; virtual interfaces and lists that make more than list_length_limit rules together.
void refuse_contradictions(const RedirectConfig& config);

}  // namespace sluice

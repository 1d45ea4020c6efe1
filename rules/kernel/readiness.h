// SPDX-License-Identifier: GPL-2.0-or-later
// Whether pods could be redirected on this node, without one.
#pragma once

#include <string>

#include "rules/backend.h"

namespace sluice::kernel {

// Why no pod could be redirected with these settings, one sentence; empty if one could. Asks for
// the capabilities of the calling thread and, in its own network namespace, what choice.h asks in a
// pod's, of nf_tables also whether it can redirect; changes nothing. Modules that the kernel would
// load for a pod it may load for this. Throws nothing but for lack of memory.
std::string obstacle(const BackendSettings& settings);

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// What a namespace itself tells of the pod's network.
#pragma once

#include <vector>

#include "rules/backend.h"
#include "rules/redirect.h"

namespace sluice::cmd {

// `known` addresses come first, then those of the interfaces in order. Throws Error.
PodNetwork network_of(PodNamespace& pod, const std::vector<IpAddress>& known = {});

// One warning on stderr for each address whose traffic goes past the mesh.
void warn_of_uncaptured(const RedirectConfig& config, const PodNetwork& network);

void print_notices(const Notices& notices);

}  // namespace sluice::cmd

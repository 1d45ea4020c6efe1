// SPDX-License-Identifier: GPL-2.0-or-later
// runtimeConfig.dns: the pod's own resolv.conf, as the runtime will write it. CONVENTIONS.md of CNI
// spells its keys in lower case, containerd capitalised; CRI-O and podman send none.
#pragma once

#include <cstddef>
#include <vector>

#include "cni/json.h"
#include "rules/ip.h"

namespace sluice::cni {

inline constexpr std::size_t server_limit = 64;

// The addresses in "servers", at most server_limit, each read by parse_resolver, in order; empty if
// there are none. Throws Error naming the key if they cannot be read.
std::vector<IpAddress> runtime_resolvers(const Json& network);

}  // namespace sluice::cni

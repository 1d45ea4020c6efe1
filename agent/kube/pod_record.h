// SPDX-License-Identifier: GPL-2.0-or-later
// From a v1.Pod as the API server sends it to what the agent keeps.
#pragma once

#include <string>
#include <string_view>

#include "agent/pod_cache.h"
#include "cni/json.h"

namespace sluice::agent {

// Parses one Pod, skipping while parsing what is not kept (managedFields,
// last-applied-configuration, volumes, ... : nine tenths of it). Throws Error naming what cannot be
// read.
cni::Json parse_pod(std::string_view text);

// Throws Error if it is no Pod or has no name, namespace or UID. What is of the wrong type
// otherwise stays in `object`: read_pod_object() will name it to whom it matters.
PodRecord read_pod_record(const cni::Json& pod);

}  // namespace sluice::agent

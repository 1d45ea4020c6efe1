// SPDX-License-Identifier: GPL-2.0-or-later
// From a v1.Pod as the API server sends it to what the agent keeps.
#pragma once

#include <string>
#include <string_view>

#include "agent/pod_cache.h"
#include "cni/json.h"

namespace sluice::agent {

// Parses one Pod, never storing what is not kept (managedFields, last-applied-configuration,
// volumes, ... : nine tenths of it): the members that read_pod_record() and read_pod_object() read,
// metadata.resourceVersion and spec.nodeName. "kind" and "apiVersion" are added where they are
// absent, as they are in the items of a list. Throws Error naming what cannot be read.
cni::Json parse_pod(std::string_view text);

// One line of a watch: {"type": ..., "object": ...}, where the object is a Pod as above, or of type
// ERROR a Status with its "code", "reason" and "message". Throws Error if it is no JSON.
cni::Json parse_watch_event(std::string_view line);

// Throws Error if it is no Pod or has no name, namespace or UID. What is of the wrong type
// otherwise stays in `object`: read_pod_object() will name it to whom it matters; an address that
// is none is left out of `addresses`.
PodRecord read_pod_record(const cni::Json& pod);

// spec.nodeName; empty before the pod is scheduled.
std::string node_of(const cni::Json& pod);

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// One pod, asked of the API server because the cache does not know it.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <tuple>

#include "agent/kube/api_server.h"
#include "agent/pod_cache.h"

namespace sluice::agent {

struct PodQuestion {
  std::string name_space = {};
  std::string name = {};
  std::string uid = {};  // as the runtime tells it; empty where it does not

  auto operator<=>(const PodQuestion&) const = default;
};

// The pod, or a sentence fragment that says why it is not known.
struct PodFound {
  std::optional<PodRecord> pod = {};
  std::string unknown = {};
};

// "too late" in an answer to the plugin.
inline constexpr const char* api_too_late = "the API server did not answer in time";

// Whether namespace and name can be those of a pod (RFC 1123 labels and subdomains): other text
// must not get into a URL.
bool names_a_pod(const PodQuestion& question);

// Gives up at `deadline` or, within a second, when `stop` says true. A pod of another UID or
// another node than `node` (empty: not checked) is not known. Never throws Error.
PodFound get_pod(ApiServer& server, const PodQuestion& question, const std::string& node,
                 std::chrono::steady_clock::time_point deadline, const std::function<bool()>& stop);

}  // namespace sluice::agent

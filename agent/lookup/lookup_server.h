// SPDX-License-Identifier: GPL-2.0-or-later
// Answers the plugins of this node (cni/agent_message.h) over a unix SOCK_SEQPACKET socket.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "agent/health.h"
#include "agent/kube/api_server.h"
#include "agent/log.h"
#include "agent/pod_cache.h"
#include "cni/agent_message.h"

namespace sluice::agent {

struct LookupConfig {
  std::string socket = cni::default_agent_socket;
  // The most that a direct GET may take, whatever the plugin says. At most 32 GETs are under way.
  std::uint32_t deadline_ms = 2000;
  std::string node = {};  // a pod of another node is not ours; empty: not checked
};

struct LookupHooks {
  // `source` is cache, api or none; `why` what the plugin was told where it is none.
  std::function<void(const char* source, double seconds)> on_lookup = {};
  // A sandbox with a namespace, so that repair need not search for it.
  std::function<void(const cni::Sandbox& sandbox)> on_sandbox = {};
  std::function<void(const cni::ReportMessage& report)> on_report = {};
  std::function<std::string()> status = {};  // the text that answers a StatusMessage
};

// The socket is bound under a temporary name, made 0600 and renamed over the old one, so that a
// starting agent takes over from a stopping one without a gap; it is left behind at the end, where
// connecting to it is refused at once. A peer that is not root in our user namespace (SO_PEERCRED)
// is dropped. A peer that does not read is dropped; none can hold up another.
//
// A pod in the cache is answered at once if its UID matches; otherwise one GET of that pod is made,
// put into the cache if it is ours and matches, and "unknown" answered when the server says no or
// the deadline passes. Equal questions share one GET.
class LookupServer {
 public:
  LookupServer(LookupConfig config, ApiConfig api, PodCache& cache, Health& health, Log log,
               LookupHooks hooks);

  // Returns soon after `stop_fd` becomes readable. Throws Error if the socket cannot be made.
  void run(int stop_fd);

 private:
  LookupConfig config_;
  ApiConfig api_;
  PodCache& cache_;
  Health& health_;
  Log log_;
  LookupHooks hooks_;
};

}  // namespace sluice::agent

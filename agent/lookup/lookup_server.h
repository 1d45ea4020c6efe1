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
  // The most that an answer may take, whatever the plugin says; it gets one 50 ms before it would
  // give up. At most four GETs are under way, the others wait for their turn or their deadline.
  std::uint32_t deadline_ms = 2000;
  std::string node = {};       // a pod of another node is not ours; empty: not checked
  std::uint32_t peer_uid = 0;  // who may ask
};

struct LookupHooks {
  // Each hook is called from run()'s thread and must not block.
  //
  // `source` is cache, api or none.
  std::function<void(const char* source, double seconds)> on_lookup = {};
  // A sandbox with a namespace, so that repair need not search for it.
  std::function<void(const cni::Sandbox& sandbox)> on_sandbox = {};
  std::function<void(const cni::ReportMessage& report)> on_report = {};
  std::function<std::string()> status = {};  // the text that answers a StatusMessage
};

// The socket is bound under a temporary name, made 0600 and renamed over the old one, so that a
// starting agent takes over from a stopping one without a gap; it is left behind at the end, where
// connecting to it is refused at once. A peer that is not root in our user namespace (SO_PEERCRED)
// is dropped, as are one that does not read, one that says nothing for 30 s and one that sends what
// is no message; none can hold up another. 256 are served at a time, the others wait.
//
// A pod in the cache is answered at once if its UID matches; otherwise one GET of that pod is made,
// put into the cache if it is ours and matches, and "unknown" answered when the server says no or
// the deadline passes. Equal questions share one GET.
//
// The plugin's log lines go to `log` as component plugin, at most 1,000 a second.
class LookupServer {
 public:
  LookupServer(LookupConfig config, ApiConfig api, PodCache& cache, Health& health, Log log,
               LookupHooks hooks);

  // Returns within a second after `stop_fd` becomes readable (an eventfd; it is not read), having
  // answered those who asked before. Throws Error if the socket cannot be made. Health's part
  // "lookup" is ready while it listens. Makes the socket anew where somebody removed it.
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

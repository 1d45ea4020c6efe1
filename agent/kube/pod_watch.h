// SPDX-License-Identifier: GPL-2.0-or-later
// list + watch of this node's pods into the cache: Kubernetes API concepts, "Efficient detection of
// changes".
#pragma once

#include <functional>
#include <string>

#include "agent/health.h"
#include "agent/kube/api_server.h"
#include "agent/log.h"
#include "agent/pod_cache.h"

namespace sluice::agent {

struct WatchHooks {
  std::function<void(const std::string& reason)> on_restart = {};  // for a metric; reason is a word
};

// GET /api/v1/pods?fieldSelector=spec.nodeName=NODE with resourceVersion=0 (answered from the API
// server's memory), then a watch from there with bookmarks. The list is read item by item, never as
// a whole. 410 (as a status or as an ERROR event) lists again; a broken stream goes on from the
// last resourceVersion; failures back off from 200 ms to 30 s with jitter. Health's part "watch" is
// ready from the first complete list on, and stays so while the server is merely away: the cache is
// then as good as ever. Says so in the log once per outage.
class PodWatch {
 public:
  PodWatch(ApiConfig api, std::string node, PodCache& cache, Health& health, Log log,
           WatchHooks hooks);

  // Returns within a second after `stop` says true.
  void run(const std::function<bool()>& stop);

 private:
  ApiServer server_;
  std::string node_;
  PodCache& cache_;
  Health& health_;
  Log log_;
  WatchHooks hooks_;
};

}  // namespace sluice::agent

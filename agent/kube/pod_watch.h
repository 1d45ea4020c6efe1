// SPDX-License-Identifier: GPL-2.0-or-later
// list + watch of this node's pods into the cache: Kubernetes API concepts, "Efficient detection of
// changes".
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "agent/health.h"
#include "agent/kube/api_server.h"
#include "agent/log.h"
#include "agent/pod_cache.h"

namespace sluice::agent {

struct WatchHooks {
  // For a metric. `reason` is a word: ended (the server's time limit), silence, gone (410), broken
  // (connection), refused (401, 403), status (other HTTP statuses), error (ERROR event),
  // unreadable.
  std::function<void(const std::string& reason)> on_restart = {};
};

struct WatchTimes {
  // A server is given up that does not begin to answer.
  std::chrono::milliseconds answer{30'000};
  // A list that stops is given up; bookmarks come every minute, so a watch that is silent for three
  // such times is made anew, from where it was.
  std::chrono::milliseconds list_silence{30'000};
  std::chrono::milliseconds watch_silence{180'000};
};

// GET /api/v1/pods?fieldSelector=spec.nodeName=NODE with resourceVersion=0 (answered from the API
// server's memory), then a watch from there with bookmarks. The list is read item by item, never as
// a whole. 410 (as a status or as an ERROR event) lists again, then from the quorum; a broken
// stream goes on from the last resourceVersion, but is not believed to be what stands there twice:
// then the pods are listed again. Failures back off from 200 ms to 30 s with jitter; a stream that
// told something or lasted ten seconds is a success. Health's part "watch" is ready from the first
// complete list on, and stays so while the server is merely away: the cache is then as good as
// ever. Says so in the log once per outage. A Pod that cannot be read is left out and logged,
// whoever asks for it.
class PodWatch {
 public:
  PodWatch(ApiConfig api, std::string node, PodCache& cache, Health& health, Log log,
           WatchHooks hooks, WatchTimes times = {});

  // Returns within a second or so after `stop` says true.
  void run(const std::function<bool()>& stop);

 private:
  ApiServer server_;
  std::string node_;
  PodCache& cache_;
  Health& health_;
  Log log_;
  WatchHooks hooks_;
  WatchTimes times_;
};

}  // namespace sluice::agent

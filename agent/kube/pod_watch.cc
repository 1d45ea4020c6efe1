// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/pod_watch.h"

#include <utility>

#include "agent/kube/watch_loop.h"

namespace sluice::agent {

PodWatch::PodWatch(ApiConfig api, std::string node, PodCache& cache, Health& health, Log log,
                   WatchHooks hooks, WatchTimes times)
    : server_(std::move(api)),
      node_(std::move(node)),
      cache_(cache),
      health_(health),
      log_(std::move(log)),
      hooks_(std::move(hooks)),
      times_(times) {}

void PodWatch::run(const std::function<bool()>& stop) {
  WatchLoop({.server = server_,
             .node = node_,
             .cache = cache_,
             .health = health_,
             .log = log_,
             .hooks = hooks_,
             .times = times_},
            stop)
      .run();
}

}  // namespace sluice::agent

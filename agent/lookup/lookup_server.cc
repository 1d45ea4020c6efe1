// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/lookup/lookup_server.h"

#include <utility>

#include "agent/lookup/lookup_loop.h"

namespace sluice::agent {

LookupServer::LookupServer(LookupConfig config, ApiConfig api, PodCache& cache, Health& health,
                           Log log, LookupHooks hooks)
    : config_(std::move(config)),
      api_(std::move(api)),
      cache_(cache),
      health_(health),
      log_(std::move(log)),
      hooks_(std::move(hooks)) {}

void LookupServer::run(int stop_fd) {
  {
    LookupLoop loop(config_, api_, cache_, health_, log_, hooks_);
    loop.run(stop_fd);
  }
  health_.set("lookup", false, "stopped");
}

}  // namespace sluice::agent

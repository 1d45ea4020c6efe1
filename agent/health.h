// SPDX-License-Identifier: GPL-2.0-or-later
// Whether this node is ready for pods, and why not. Each part says how it is; /readyz, the status
// table and the taint follow from all of them. Whether the agent itself goes on, which is /healthz,
// is another question: its loops tell that they turn.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>

namespace sluice::agent {

// Thread-safe.
class Health {
 public:
  // `part` is install, plugin, watch or lookup; a part that never spoke is not ready. `why` is one
  // line, also for a part that is ready. Idempotent: readiness changes only if `ready` does, so
  // that a harmless file event cannot make it flap.
  void set(const std::string& part, bool ready, const std::string& why);

  struct Part {
    bool ready = false;
    std::string why = {};
  };
  // Every part that is waited for.
  std::map<std::string, Part> parts() const;
  bool ready() const;
  // One sentence: "ready", or what is not.
  std::string sentence() const;

  // Waits for at most `milliseconds` until ready() is `wanted`; what it is then.
  bool wait(bool wanted, int milliseconds) const;

  // To be called by each loop as it turns, whatever it waits for: every two minutes at least.
  void turned(const std::string& loop);
  // Names the loops that have turned before but not in the last `limit`; empty if there are none.
  std::string stuck(std::chrono::milliseconds limit) const;

 private:
  bool ready_locked() const;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::string, Part> parts_{{"install", {.why = "not yet installed"}},
                                     {"plugin", {.why = "not yet tried"}},
                                     {"watch", {.why = "not yet connected"}},
                                     {"lookup", {.why = "not yet listening"}}};
  std::map<std::string, std::chrono::steady_clock::time_point> turns_;
};

}  // namespace sluice::agent

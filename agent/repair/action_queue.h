// SPDX-License-Identifier: GPL-2.0-or-later
// What is to be asked of the API server, done one after the other by a thread of its own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "agent/kube/pod_actions.h"
#include "agent/log.h"
#include "agent/pod_cache.h"
#include "agent/repair/pace.h"

namespace sluice::agent {

// What became of a label() or remove().
struct ActionOutcome {
  PodRecord pod = {};        // without its object
  std::string failure = {};  // empty: done
};

// An event that cannot be written is tried again for half a minute; at most 1,000 wait, what comes
// then is dropped. Labels and deletions go before events, are tried once, and tell what became of
// them.
class ActionQueue {
 public:
  // `done` is called from the thread of run().
  ActionQueue(std::unique_ptr<PodActions> actions, Log log,
              std::function<void(ActionOutcome)> done);

  // From any thread; nothing waits for the server.
  void event(const PodRecord& pod, const std::string& type, const std::string& reason,
             const std::string& message);
  void label(const PodRecord& pod, const std::string& key, const std::string& value);
  void remove(const PodRecord& pod);

  // Until stop(). What is under way then is ended; what waits is dropped.
  void run();
  void stop();

 private:
  struct Event {
    PodRecord pod = {};
    std::string type = {};
    std::string reason = {};
    std::string message = {};
    Clock::time_point not_before = {};
    Pauses retry{std::chrono::seconds(1), std::chrono::seconds(16)};
  };
  struct Change {
    PodRecord pod = {};
    std::function<void()> make = {};
  };

  bool next(std::optional<Change>& change, std::optional<Event>& event);
  std::optional<Event> take_due(Clock::time_point now, Clock::time_point& earliest);
  void put(Event event);
  void write(Event event);
  void make(const Change& change);

  std::unique_ptr<PodActions> actions_;
  Log log_;
  std::function<void(ActionOutcome)> done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Change> changes_;
  std::deque<Event> events_;
  WindowLimit drop_notices_{1, std::chrono::minutes(1)};
  bool stopping_ = false;
};

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// PodWatch::run's state: where the watch is, and how it is going. Not to be included elsewhere.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kube/backoff.h"
#include "agent/kube/pod_watch.h"
#include "cni/json.h"
#include "rules/error.h"

namespace sluice::agent {

class WatchLoop {
 public:
  struct Parts {
    ApiServer& server;
    const std::string& node;
    PodCache& cache;
    Health& health;
    const Log& log;
    const WatchHooks& hooks;
    const WatchTimes& times;
  };
  WatchLoop(const Parts& parts, const std::function<bool()>& stop) : parts_(parts), stop_(stop) {}

  void run();

 private:
  using Clock = std::chrono::steady_clock;

  // How a list or a watch ended.
  struct Outcome {
    const char* reason = "";   // of WatchHooks; empty: a list that is complete
    std::string problem = {};  // a sentence; empty: nothing is wrong
    bool suspect = false;      // it is what the server sends from here on that is wrong
    std::chrono::seconds retry_after{0};
  };

  Outcome list();
  Outcome watch();
  Outcome end_of_watch(const ApiResponse& response);
  void begin();
  bool understand(const std::function<bool()>& read);
  bool take_line(std::string_view line);
  void apply(const std::string& type, const cni::Json& pod);
  std::optional<PodRecord> record_of(const cni::Json& pod);
  void not_readable(const Error& error);
  static Outcome refused(const ApiResponse& response, const char* verb);
  void list_again();
  void settle(const Outcome& outcome);
  void failing(const Outcome& outcome);
  void working(bool told);
  void say(cni::LogLevel level, const std::string& text) const;
  std::string path(const std::string& parameters) const;

  Parts parts_;
  const std::function<bool()>& stop_;
  Backoff backoff_ = Backoff();
  std::mt19937 random_ = std::mt19937(std::random_device{}());
  std::string version_ = {};  // empty: the pods must be listed
  bool from_quorum_ = false;  // the server's memory has been too old
  bool listed_ = false;
  // Of the list or watch under way:
  std::optional<Clock::time_point> heard_ = {};
  std::string unreadable_ = {};  // what was not understood
  bool told_ = false;            // an event was
  cni::Json error_ = {};         // the Status of an ERROR event
  int strikes_ = 0;              // suspect outcomes since an event was understood
  std::optional<Clock::time_point> failing_since_ = {};
  bool suspect_ = false;  // the outage is one that only an event ends
  std::string last_unreadable_ = {};
};

}  // namespace sluice::agent

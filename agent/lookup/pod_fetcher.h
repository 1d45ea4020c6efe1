// SPDX-License-Identifier: GPL-2.0-or-later
// Makes direct GETs in threads of its own, so that none holds up the answers from the cache.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/kube/api_server.h"
#include "agent/lookup/direct_get.h"
#include "rules/kernel/fd.h"

namespace sluice::agent {

// ask() and take_found() belong to one thread, the owner's. Destroying it gives up what is under
// way within a second.
class PodFetcher {
 public:
  using Clock = std::chrono::steady_clock;

  // Throws Error without a file descriptor left. Threads start with the first questions, four at
  // most: more GETs at a time are no help to an API server that is slow.
  PodFetcher(ApiConfig api, std::string node);
  PodFetcher(const PodFetcher&) = delete;
  PodFetcher(PodFetcher&&) = delete;
  PodFetcher& operator=(const PodFetcher&) = delete;
  PodFetcher& operator=(PodFetcher&&) = delete;
  ~PodFetcher();

  // Every question gets one answer; of one whose deadline passes before its turn comes, without
  // the API server being asked.
  void ask(PodQuestion question, Clock::time_point deadline);

  struct Answer {
    PodQuestion question = {};
    PodFound found = {};
  };
  // Readable when there are answers to take.
  int ready_fd() const { return ready_.get(); }
  std::vector<Answer> take_answers();

 private:
  struct Job {
    PodQuestion question = {};
    Clock::time_point deadline = {};
  };

  void work();
  bool wait_for_job(Job& job);
  PodFound find(std::unique_ptr<ApiServer>& server, const Job& job) const;

  const ApiConfig api_;
  const std::string node_;
  kernel::Fd ready_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_ = {};
  std::condition_variable changed_ = {};
  std::deque<Job> jobs_ = {};
  std::vector<Answer> answers_ = {};
  std::size_t idle_ = 0;
  std::vector<std::thread> threads_ = {};  // the owner's
};

}  // namespace sluice::agent

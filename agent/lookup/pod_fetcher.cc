// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/lookup/pod_fetcher.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

#include "rules/error.h"

namespace sluice::agent {
namespace {

constexpr std::size_t threads_limit = 4;

}  // namespace

PodFetcher::PodFetcher(ApiConfig api, std::string node)
    : api_(std::move(api)), node_(std::move(node)), ready_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!ready_) throw Error(errno, "make an eventfd");
}

PodFetcher::~PodFetcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void PodFetcher::ask(PodQuestion question, Clock::time_point deadline) {
  bool another = false;
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({.question = std::move(question), .deadline = deadline});
    another = jobs_.size() > idle_ && threads_.size() < threads_limit;
  }
  try {
    if (another) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    // No thread to be had: another one answers, or the question's deadline does.
  }
  changed_.notify_one();
}

std::vector<PodFetcher::Answer> PodFetcher::take_answers() {
  eventfd_t count = 0;
  eventfd_read(ready_.get(), &count);
  const std::lock_guard lock(mutex_);
  return std::exchange(answers_, {});
}

bool PodFetcher::wait_for_job(Job& job) {
  std::unique_lock lock(mutex_);
  ++idle_;
  changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
  --idle_;
  if (stopping_) return false;
  job = std::move(jobs_.front());
  jobs_.pop_front();
  return true;
}

PodFound PodFetcher::find(std::unique_ptr<ApiServer>& server, const Job& job) const {
  if (Clock::now() >= job.deadline) return {.unknown = api_too_late};
  try {
    if (!server) server = std::make_unique<ApiServer>(api_);
    return get_pod(*server, job.question, node_, job.deadline, [this] { return stopping_.load(); });
  } catch (const std::exception& error) {
    return {.unknown = std::string("the API server cannot be asked: ") + error.what()};
  }
}

void PodFetcher::work() {
  std::unique_ptr<ApiServer> server;
  for (Job job; wait_for_job(job);) {
    PodFound found = find(server, job);
    {
      const std::lock_guard lock(mutex_);
      answers_.push_back({.question = std::move(job.question), .found = std::move(found)});
    }
    eventfd_write(ready_.get(), 1);
  }
}

}  // namespace sluice::agent

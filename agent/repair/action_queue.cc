// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/action_queue.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "rules/error.h"

namespace sluice::agent {
namespace {

constexpr std::size_t most_events = 1000;
constexpr std::size_t most_tries = 5;

// The object is of no use there and most of what a record takes.
PodRecord identity(const PodRecord& pod) {
  return {
      .name_space = pod.name_space, .name = pod.name, .uid = pod.uid, .mirror_uid = pod.mirror_uid};
}

std::string subject(const PodRecord& pod) {
  return "pod " + quote(pod.name_space + "/" + pod.name);
}

}  // namespace

ActionQueue::ActionQueue(std::unique_ptr<PodActions> actions, Log log,
                         std::function<void(ActionOutcome)> done)
    : actions_(std::move(actions)), log_(std::move(log)), done_(std::move(done)) {}

void ActionQueue::event(const PodRecord& pod, const std::string& type, const std::string& reason,
                        const std::string& message) {
  if (!actions_) return;
  put({.pod = identity(pod), .type = type, .reason = reason, .message = message});
}

void ActionQueue::label(const PodRecord& pod, const std::string& key, const std::string& value) {
  const std::lock_guard lock(mutex_);
  const PodRecord who = identity(pod);
  changes_.push_back({.pod = who, .make = [=, this] { actions_->label(who, key, value); }});
  changed_.notify_one();
}

void ActionQueue::remove(const PodRecord& pod) {
  const std::lock_guard lock(mutex_);
  const PodRecord who = identity(pod);
  changes_.push_back({.pod = who, .make = [=, this] { actions_->remove(who); }});
  changed_.notify_one();
}

void ActionQueue::put(Event event) {
  bool dropped = false;
  {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = Clock::now();
    if (events_.size() < most_events) {
      events_.push_back(std::move(event));
    } else if (drop_notices_.next(now) <= now) {
      drop_notices_.count(now);
      dropped = true;
    }
  }
  changed_.notify_one();
  if (dropped) {
    log_(cni::LogLevel::warn, "repair",
         "events are dropped: " + std::to_string(most_events) + " wait for the API server");
  }
}

std::optional<ActionQueue::Event> ActionQueue::take_due(Clock::time_point now,
                                                        Clock::time_point& earliest) {
  const auto first =
      std::min_element(events_.begin(), events_.end(),
                       [](const Event& a, const Event& b) { return a.not_before < b.not_before; });
  if (first == events_.end()) return std::nullopt;
  earliest = first->not_before;
  if (earliest > now) return std::nullopt;
  Event event = std::move(*first);
  events_.erase(first);
  return event;
}

// Waits for something to do; false if that is to stop.
bool ActionQueue::next(std::optional<Change>& change, std::optional<Event>& event) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopping_) return false;
    if (!changes_.empty()) {
      change = std::move(changes_.front());
      changes_.pop_front();
      return true;
    }
    const Clock::time_point now = Clock::now();
    Clock::time_point earliest = now + std::chrono::hours(1);
    event = take_due(now, earliest);
    if (event) return true;
    changed_.wait_until(lock, earliest);
  }
}

void ActionQueue::write(Event event) {
  try {
    actions_->event(event.pod, event.type, event.reason, event.message);
  } catch (const std::exception& failure) {
    event.not_before = Clock::now() + event.retry.next();
    if (event.retry.failures() < most_tries) return put(std::move(event));
    log_(cni::LogLevel::warn, "repair",
         subject(event.pod) + ": event " + event.reason +
             " could not be written: " + printable(failure.what()));
  }
}

void ActionQueue::make(const Change& change) {
  ActionOutcome outcome{.pod = change.pod};
  try {
    change.make();
  } catch (const std::exception& failure) {
    outcome.failure = printable(failure.what());
  }
  done_(std::move(outcome));
}

void ActionQueue::run() {
  for (;;) {
    std::optional<Change> change;
    std::optional<Event> event;
    if (!next(change, event)) return;
    if (change) make(*change);
    if (event) write(std::move(*event));
  }
}

void ActionQueue::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

}  // namespace sluice::agent

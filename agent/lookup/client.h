// SPDX-License-Identifier: GPL-2.0-or-later
// One connection of a plugin or of a command line.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>

#include "agent/lookup/direct_get.h"
#include "rules/kernel/fd.h"

namespace sluice::agent {

// It reads only while it has nothing to say and nothing to wait for: what a peer can make the agent
// keep is one answer.
class Client {
 public:
  using Clock = std::chrono::steady_clock;

  // A question under way.
  struct Waiting {
    PodQuestion question = {};
    bool annotations_known = false;
    Clock::time_point asked = {};
    Clock::time_point end = {};
  };

  Client(kernel::Fd fd, Clock::time_point now) : fd_(std::move(fd)), active_(now) {}

  int fd() const { return fd_.get(); }
  // What poll(2) should look for.
  short events() const;
  bool reads() const { return !waiting && output_.empty() && !over; }
  // Connected, and there is nothing to do for it.
  bool is_idle() const { return reads(); }
  // When it was last read from or written to.
  Clock::time_point active() const { return active_; }
  void touch(Clock::time_point now) {
    active_ = now;
    has_spoken_ = true;
  }
  // It has had what it came for, as far as anybody knows.
  bool is_served() const { return is_idle() && has_spoken_; }

  // Sends it, or keeps it until the peer has read. What does not fit in a packet is replaced by an
  // answer that says so.
  void send(std::string packet, Clock::time_point now);
  void flush(Clock::time_point now);

  // The time from which on it is dropped, or answered where it waits.
  Clock::time_point end() const;

  std::optional<Waiting> waiting = {};
  bool over = false;  // to be dropped

 private:
  kernel::Fd fd_;
  Clock::time_point active_;
  bool has_spoken_ = false;
  std::deque<std::string> output_ = {};
};

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/lookup/client.h"

#include <poll.h>

#include <utility>

#include "agent/lookup/packet.h"
#include "cni/agent_message.h"

namespace sluice::agent {
namespace {

constexpr auto idle_limit = std::chrono::seconds(30);
constexpr auto write_limit = std::chrono::seconds(5);

std::string too_large_answer() {
  return cni::print_answer({.unknown = "the pod does not fit in one packet of the agent's socket"});
}

}  // namespace

short Client::events() const {
  if (!output_.empty()) return POLLOUT;
  return reads() ? POLLIN : 0;  // POLLHUP comes unasked
}

void Client::send(std::string packet, Clock::time_point now) {
  output_.push_back(std::move(packet));
  flush(now);
}

void Client::flush(Clock::time_point now) {
  bool replaced = false;
  while (!output_.empty() && !over) {
    switch (send_packet(fd_.get(), output_.front())) {
      case Sent::whole:
        output_.pop_front();
        active_ = now;
        break;
      case Sent::later:
        return;
      case Sent::too_large:
        over = replaced;
        replaced = true;
        output_.front() = too_large_answer();
        break;
      case Sent::broken:
        over = true;
        break;
    }
  }
}

Client::Clock::time_point Client::end() const {
  if (over) return active_;
  if (waiting) return waiting->end;
  return active_ + (output_.empty() ? std::chrono::seconds(idle_limit) : write_limit);
}

}  // namespace sluice::agent

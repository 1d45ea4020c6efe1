// SPDX-License-Identifier: GPL-2.0-or-later
// The socket calls of the probes.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "cmd/sluice/istio_iptables/probe.h"
#include "rules/kernel/fd.h"

namespace sluice::cmd::istio_iptables {

using Clock = std::chrono::steady_clock;

// Sockets made while this exists are the user's.
class ActingAs {
 public:
  explicit ActingAs(const User& user);
  ActingAs(const ActingAs&) = delete;
  ActingAs(ActingAs&&) = delete;
  ActingAs& operator=(const ActingAs&) = delete;
  ActingAs& operator=(ActingAs&&) = delete;
  ~ActingAs();

  // False if the kernel did not let us.
  explicit operator bool() const { return acting_; }

 private:
  User before_;
  bool acting_;
};

// A socket, non-blocking and close-on-exec, or the errno of the call that failed.
using Opened = std::variant<kernel::Fd, int>;

struct ListenerOptions {
  Endpoint at = {};
  int type = SOCK_STREAM;
  bool transparent = false;  // takes connections to any address, ip(7) IP_TRANSPARENT
  bool reserve = false;      // only keeps others from listening there
};

Opened open_listener(const ListenerOptions& options);
// Bound to its source, not connected yet. Throws Error if it cannot act as the user.
Opened open_client(const Connection& connection, int type);

// 0 or EINPROGRESS when it is under way, else errno.
int connect_to(const kernel::Fd& socket, const Endpoint& to);
// The outcome of a connect(2) that was under way: 0 or errno.
int take_error(const kernel::Fd& socket);

std::optional<Endpoint> local_endpoint(const kernel::Fd& socket);
// The destination before nat changed it; nothing if nat did not.
std::optional<Endpoint> original_destination(const kernel::Fd& socket, Family family);

// Waits until one of the two can be read (the first) or written (the second); a negative
// descriptor is not waited for. True for those that can.
struct Ready {
  bool listener = false;
  bool client = false;
};
Ready wait_for(int listener, int client, short client_events, Clock::time_point deadline);

void pause(Clock::duration duration, Clock::time_point deadline);

// localhost, or all zeros.
IpAddress localhost(Family family);
IpAddress any_address(Family family);

}  // namespace sluice::cmd::istio_iptables

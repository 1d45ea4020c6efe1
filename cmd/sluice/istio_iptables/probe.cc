// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice/istio_iptables/probe.h"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <system_error>
#include <utility>

#include "cmd/sluice/istio_iptables/files.h"
#include "cmd/sluice/istio_iptables/probe_socket.h"
#include "rules/error.h"
#include "rules/kernel/proc.h"

namespace sluice::cmd::istio_iptables {
namespace {

using kernel::Fd;
using namespace std::chrono_literals;

constexpr auto attempt_limit = 1s;  // a lost SYN is sent again only after as long
constexpr auto between_attempts = 200ms;
constexpr auto accept_limit = 200ms;  // what is accepted on loopback is so at once

std::string message(int errnum) {
  return std::generic_category().message(errnum);
}

bool is_permission(int errnum) {
  return errnum == EPERM || errnum == EACCES;
}

// "5 s", "300 ms".
std::string to_string(std::chrono::milliseconds time) {
  if (time % 1s == 0ms) return std::to_string(time / 1s) + " s";
  return std::to_string(time.count()) + " ms";
}

ProbeResult lost(const std::string& what, const Endpoint& to, std::uint16_t port,
                 std::chrono::milliseconds timeout, const std::string& reason) {
  return {.arrival = Arrival::lost,
          .detail = what + " to " + to_string(to) + " did not arrive at port " +
                    std::to_string(port) + " within " + to_string(timeout) +
                    (reason.empty() ? "" : " (" + reason + ")")};
}

ProbeResult no_listener(const Endpoint& at, int errnum) {
  return {.arrival = is_permission(errnum) ? Arrival::not_permitted : Arrival::lost,
          .detail = "cannot listen on " + to_string(at) + ": " + message(errnum)};
}

// The port of "0100007F:3A9E", 0 if it has none.
std::uint16_t port_of(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return 0;
  const std::string_view text = address.substr(colon + 1);
  std::uint16_t port = 0;
  std::from_chars(text.begin(), text.end(), port, 16);
  return port;
}

// Whether a socket of this namespace that is or was connected has these ports, proc(5)
// /proc/net/tcp. The table tells of sockets of all users and of those that nobody has accepted yet.
bool is_connected(std::uint16_t local_port, std::uint16_t remote_port) {
  for (const char* name : {"tcp", "tcp6"}) {
    const std::string file = kernel::read_proc_net(name);
    for (std::string_view text = file; !text.empty();) {
      std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(text.size(), line.size() + 1));
      take_word(line);  // the number of the line
      const std::string_view local = take_word(line);
      const std::string_view remote = take_word(line);
      const std::string_view state = take_word(line);
      // TCP_SYN_SENT, TCP_SYN_RECV: linux/tcp.h. One that listens has no remote port.
      const bool opening = state == "02" || state == "03";
      if (!opening && port_of(local) == local_port && port_of(remote) == remote_port) return true;
    }
  }
  return false;
}

// One listener, to which connections are tried until one arrives.
class StreamProbe {
 public:
  StreamProbe(const Connection& connection, std::uint16_t port, bool transparent)
      : connection_(connection), port_(port), transparent_(transparent) {}

  ProbeResult run(std::chrono::milliseconds timeout) {
    const Family family = connection_.to.address.family;
    const ListenerOptions options{
        .at = {.address = transparent_ ? any_address(family) : localhost(family), .port = port_},
        .transparent = transparent_};
    Opened opened = open_listener(options);
    if (const int* errnum = std::get_if<int>(&opened)) {
      if (*errnum != EADDRINUSE || !reserve_destination()) return no_listener(options.at, *errnum);
    } else {
      listener_ = std::get<Fd>(std::move(opened));
    }
    const Clock::time_point deadline = Clock::now() + timeout;
    do {
      if (attempt(std::min(deadline, Clock::now() + attempt_limit))) return arrived();
      if (not_permitted_) return {.arrival = Arrival::not_permitted, .detail = reason_};
      pause(between_attempts, deadline);
    } while (Clock::now() < deadline);
    return lost("connection", connection_.to, port_, timeout, reason_);
  }

 private:
  ProbeResult arrived() const {
    if (listener_) return {};
    return {.detail = "another program listens on port " + std::to_string(port_) +
                      "; seen in /proc/net/tcp"};
  }

  // A connection that TPROXY delivered to another program is told from one that went straight to
  // its destination only if nobody listens there.
  bool reserve_destination() {
    if (!transparent_) return true;
    Opened opened = open_listener({.at = connection_.to, .reserve = true});
    Fd* socket = std::get_if<Fd>(&opened);
    if (socket != nullptr) reserved_ = std::move(*socket);
    return socket != nullptr;
  }

  bool attempt(Clock::time_point deadline) {
    Opened opened = open_client(connection_, SOCK_STREAM);
    if (const int* errnum = std::get_if<int>(&opened)) {
      not_permitted_ = is_permission(*errnum);
      return fails(message(*errnum));
    }
    const Fd client = std::get<Fd>(std::move(opened));
    int error = connect_to(client, connection_.to);
    bool connected = error == 0;
    if (!connected && error != EINPROGRESS) return fails(message(error));
    reason_.clear();
    while (Clock::now() < deadline) {
      const Ready ready =
          wait_for(listener_.get(), connected ? -1 : client.get(), POLLOUT, deadline);
      if (ready.listener && accept_ours()) return true;
      if (!ready.client) continue;
      error = take_error(client);
      if (error != 0) return fails(message(error));
      connected = true;
      if (!listener_) return seen_elsewhere(client);
      reason_ = "another program accepted it";
      deadline = std::min(deadline, Clock::now() + accept_limit);
    }
    return false;
  }

  bool fails(std::string reason) {
    reason_ = std::move(reason);
    return false;
  }

  bool accept_ours() {
    const Fd accepted(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted) return false;
    const std::optional<Endpoint> meant_for =
        transparent_ ? local_endpoint(accepted)
                     : original_destination(accepted, connection_.to.address.family);
    return meant_for == connection_.to;
  }

  bool seen_elsewhere(const Fd& client) {
    const std::optional<Endpoint> local = local_endpoint(client);
    // TPROXY leaves the destination as it is.
    const std::uint16_t port = transparent_ ? connection_.to.port : port_;
    if (local && is_connected(port, local->port)) return true;
    return fails("another program accepted it");
  }

  const Connection& connection_;
  std::uint16_t port_;
  bool transparent_;
  Fd listener_;
  Fd reserved_;
  std::string reason_;
  bool not_permitted_ = false;
};

// A query for the root's name servers: RFC 1035, section 4.1. The ID tells it from others'.
std::array<std::uint8_t, 17> make_query() {
  std::array<std::uint8_t, 17> query{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1};
  if (getrandom(query.data(), 2, 0) != 2) throw Error(errno, "read random bytes");
  return query;
}

class DatagramProbe {
 public:
  DatagramProbe(const Connection& connection, std::uint16_t port, bool answer)
      : connection_(connection), port_(port), answer_(answer) {}

  ProbeResult run(const std::optional<User>& server, std::chrono::milliseconds timeout) {
    const ListenerOptions options{
        .at = {.address = localhost(connection_.to.address.family), .port = port_},
        .type = SOCK_DGRAM};
    {
      const ActingAs user(server.value_or(own_user()));
      Opened opened = open_listener(options);
      if (const int* errnum = std::get_if<int>(&opened)) return no_listener(options.at, *errnum);
      server_ = std::get<Fd>(std::move(opened));
    }
    Opened opened = open_client(connection_, SOCK_DGRAM);
    if (const int* errnum = std::get_if<int>(&opened)) reason_ = message(*errnum);
    if (Fd* client = std::get_if<Fd>(&opened)) client_ = std::move(*client);
    const int error = client_ ? connect_to(client_, connection_.to) : 0;
    if (error != 0) reason_ = message(error);
    if (client_ && error == 0 && exchange(Clock::now() + timeout)) return {};
    return lost("query", connection_.to, port_, timeout, reason_);
  }

 private:
  bool exchange(Clock::time_point deadline) {
    while (Clock::now() < deadline) {
      if (send(client_.get(), query_.data(), query_.size(), MSG_NOSIGNAL) < 0) {
        reason_ = message(errno);
      }
      const Clock::time_point next = std::min(deadline, Clock::now() + between_attempts);
      while (Clock::now() < next) {
        const Ready ready = wait_for(server_.get(), client_.get(), POLLIN, next);
        if (ready.listener && serve() && !answer_) return true;
        if (ready.client && receive()) return true;
        if (ready.client) break;  // an ICMP error: not before the next query
      }
      pause(next - Clock::now(), next);
    }
    return false;
  }

  // Sends a query of ours back to where it came from.
  bool serve() {
    std::array<std::uint8_t, 512> datagram{};
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const ssize_t length = recvfrom(server_.get(), datagram.data(), datagram.size(), 0,
                                    reinterpret_cast<sockaddr*>(&peer), &size);
    if (!is_query(datagram, length)) return false;
    reason_ = "it arrived, but its answer did not come back";
    sendto(server_.get(), query_.data(), query_.size(), MSG_NOSIGNAL,
           reinterpret_cast<sockaddr*>(&peer), size);
    return true;
  }

  // The socket is connected: what it receives comes from where it sends to.
  bool receive() {
    std::array<std::uint8_t, 512> datagram{};
    const ssize_t length = recv(client_.get(), datagram.data(), datagram.size(), 0);
    if (length < 0) reason_ = message(errno);
    return is_query(datagram, length);
  }

  bool is_query(const std::array<std::uint8_t, 512>& datagram, ssize_t length) const {
    return length == static_cast<ssize_t>(query_.size()) &&
           std::equal(query_.begin(), query_.end(), datagram.begin());
  }

  const Connection& connection_;
  std::uint16_t port_;
  bool answer_;
  std::array<std::uint8_t, 17> query_ = make_query();
  Fd server_;
  Fd client_;
  std::string reason_;
};

}  // namespace

ProbeResult probe_redirect(const Connection& connection, std::uint16_t port,
                           std::chrono::milliseconds timeout) {
  return StreamProbe(connection, port, false).run(timeout);
}

ProbeResult probe_tproxy(const Connection& connection, std::uint16_t port,
                         std::chrono::milliseconds timeout) {
  return StreamProbe(connection, port, true).run(timeout);
}

ProbeResult probe_dns(const Connection& connection, std::uint16_t port,
                      const std::optional<User>& server, std::chrono::milliseconds timeout) {
  return DatagramProbe(connection, port, server.has_value()).run(server, timeout);
}

}  // namespace sluice::cmd::istio_iptables

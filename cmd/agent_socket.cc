// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/agent_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <optional>

#include "cni/agent_message.h"
#include "rules/error.h"
#include "rules/interruption.h"
#include "rules/kernel/fd.h"

namespace sluice::cmd {
namespace {

using kernel::Fd;

// Smaller packets fit in any socket's buffer, socket(7).
constexpr std::size_t ordinary_packet = std::size_t{64} * 1024;

[[noreturn]] void time_out() {
  throw Error(std::make_error_code(std::errc::timed_out), "it does not answer in time");
}

// Rounded up, so that nobody spins through the last millisecond. Asked before each wait. Throws
// Error at the deadline.
int milliseconds_to(Deadline deadline) {
  throw_if_interrupted();
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  if (left.count() <= 0) time_out();
  return static_cast<int>(std::min<std::int64_t>(left.count(), INT_MAX));
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    throw Error(ENAMETOOLONG, "connect to " + quote(path));
  }
  std::memcpy(static_cast<char*>(address.sun_path), path.data(), path.size());
  return address;
}

Fd make_socket(int flags) {
  Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
  if (!fd) throw Error(errno, "make a socket");
  return fd;
}

int try_connect(const Fd& fd, const sockaddr_un& address) {
  // sockets(7) asks for this cast.
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);  // NOLINT
  return connect(fd.get(), generic, sizeof address);
}

// While the agent's backlog is full, a non-blocking connect(2) of a unix socket fails with EAGAIN
// and there is nothing to poll for; a blocking one waits for SO_SNDTIMEO, socket(7).
void connect_until(const Fd& fd, const std::string& path, Deadline deadline) {
  const sockaddr_un address = address_of(path);
  for (;;) {
    const int left = milliseconds_to(deadline);
    const timeval timeout{.tv_sec = left / 1000, .tv_usec = (left % 1000) * 1000L};
    if (setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) != 0) {
      throw Error(errno, "set the time-out of a socket");
    }
    if (try_connect(fd, address) == 0) return;
    if (errno != EINTR && errno != EAGAIN) throw Error(errno, "connect");
  }
}

// The credentials are those of the process that called listen(2).
bool peer_is_root(const Fd& fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && size == sizeof peer &&
         peer.uid == 0;
}

// Where it may not, send(2) says so.
void make_room(const Fd& fd, std::size_t size) {
  if (size <= ordinary_packet) return;
  const int wanted = static_cast<int>(std::min<std::size_t>(size, INT_MAX / 4) + ordinary_packet);
  if (setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted) != 0) {
    setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
  }
}

void wait_for(const Fd& fd, short events, Deadline deadline) {
  for (;;) {
    pollfd ready{.fd = fd.get(), .events = events, .revents = 0};
    const int count = poll(&ready, 1, milliseconds_to(deadline));
    if (count > 0) return;
    if (count < 0 && errno != EINTR) throw Error(errno, "wait");
  }
}

void send_until(const Fd& fd, std::string_view packet, Deadline deadline) {
  make_room(fd, packet.size());
  while (send(fd.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno == EAGAIN) {
      wait_for(fd, POLLOUT, deadline);
    } else if (errno != EINTR) {
      throw Error(errno, "send");
    }
  }
}

// The size of the next packet, 0 also at the end of the connection; nothing if none is there yet.
std::optional<std::size_t> next_size(const Fd& fd) {
  const ssize_t size = recv(fd.get(), nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  if (size >= 0) return static_cast<std::size_t>(size);
  if (errno != EAGAIN && errno != EINTR) throw Error(errno, "receive");
  return std::nullopt;
}

// One packet; empty if that is what came, or if the connection ended.
std::string receive_until(const Fd& fd, Deadline deadline) {
  std::optional<std::size_t> size;
  while (!size) {
    wait_for(fd, POLLIN, deadline);
    size = next_size(fd);
  }
  if (*size > cni::agent_packet_limit) {
    throw Error(EMSGSIZE, "read an answer of " + std::to_string(*size) + " bytes");
  }
  std::string packet(*size, '\0');
  if (*size == 0) return packet;
  const ssize_t got = recv(fd.get(), packet.data(), packet.size(), MSG_DONTWAIT);
  if (got < 0) throw Error(errno, "receive");
  packet.resize(static_cast<std::size_t>(got));
  return packet;
}

Fd send_request(const std::string& path, std::string_view request, Deadline deadline) {
  Fd fd = make_socket(0);
  connect_until(fd, path, deadline);
  if (!peer_is_root(fd)) {
    throw Error(std::make_error_code(std::errc::operation_not_permitted),
                "it is not root who listens there");
  }
  send_until(fd, request, deadline);
  return fd;
}

}  // namespace

std::string ask_agent(const std::string& path, std::string_view request, Deadline deadline) {
  const Fd fd = send_request(path, request, deadline);
  std::string answer = receive_until(fd, deadline);
  if (answer.empty()) {
    throw Error(std::make_error_code(std::errc::no_message_available),
                "it closes the connection without an answer");
  }
  return answer;
}

std::string ask_agent_for_all(const std::string& path, std::string_view request,
                              Deadline deadline) {
  const Fd fd = send_request(path, request, deadline);
  std::string all;
  for (;;) {
    const std::string packet = receive_until(fd, deadline);
    if (packet.empty()) return all;
    if (packet.size() > agent_answer_limit - all.size()) {
      throw Error(EMSGSIZE, "read more than " + std::to_string(agent_answer_limit) + " bytes");
    }
    all += packet;
  }
}

bool tell_agent(const std::string& path, std::string_view message) {
  try {
    const Fd fd = make_socket(SOCK_NONBLOCK);
    if (try_connect(fd, address_of(path)) != 0 || !peer_is_root(fd)) return false;
    make_room(fd, message.size());
    return send(fd.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace sluice::cmd

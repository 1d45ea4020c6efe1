// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice/istio_iptables/probe_socket.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/fsuid.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "rules/error.h"

namespace sluice::cmd::istio_iptables {
namespace {

using kernel::Fd;

// linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h (IP6T_SO_ORIGINAL_DST).
constexpr int so_original_dst = 80;
constexpr uid_t no_id = 0xffffffff;
constexpr int backlog = 16;

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = sizeof(sockaddr_storage);

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress to_socket_address(const Endpoint& endpoint) {
  SocketAddress address;
  if (endpoint.address.family == Family::ipv4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    std::memcpy(&in.sin_addr, endpoint.address.bytes.data(), sizeof in.sin_addr);
    std::memcpy(&address.storage, &in, sizeof in);
    address.size = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(endpoint.port);
    std::memcpy(&in.sin6_addr, endpoint.address.bytes.data(), sizeof in.sin6_addr);
    std::memcpy(&address.storage, &in, sizeof in);
    address.size = sizeof in;
  }
  return address;
}

Endpoint to_endpoint(const SocketAddress& address) {
  Endpoint endpoint;
  if (address.storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address.storage, sizeof in);
    std::memcpy(endpoint.address.bytes.data(), &in.sin_addr, sizeof in.sin_addr);
    endpoint.port = ntohs(in.sin_port);
  } else {
    sockaddr_in6 in{};
    std::memcpy(&in, &address.storage, sizeof in);
    endpoint.address.family = Family::ipv6;
    std::memcpy(endpoint.address.bytes.data(), &in.sin6_addr, sizeof in.sin6_addr);
    endpoint.port = ntohs(in.sin6_port);
  }
  return endpoint;
}

Fd new_socket(Family family, int type) {
  return Fd(
      socket(family == Family::ipv4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

bool set_option(const Fd& socket, int level, int option, std::uint32_t value) {
  return setsockopt(socket.get(), level, option, &value, sizeof value) == 0;
}

bool bind_to(const Fd& socket, const Endpoint& endpoint) {
  SocketAddress address = to_socket_address(endpoint);
  return bind(socket.get(), address.get(), address.size) == 0;
}

int milliseconds_until(Clock::time_point deadline) {
  // Rounded up: the last millisecond is waited for, not spun through.
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
}

}  // namespace

User own_user() {
  // The way to ask, setfsuid(2).
  return {.uid = static_cast<std::uint32_t>(setfsuid(no_id)),
          .gid = static_cast<std::uint32_t>(setfsgid(no_id))};
}

ActingAs::ActingAs(const User& user) : before_(own_user()) {
  setfsgid(user.gid);
  setfsuid(user.uid);
  acting_ = own_user() == user;
}

ActingAs::~ActingAs() {
  setfsuid(before_.uid);
  setfsgid(before_.gid);
}

bool can_act_as(const User& user) {
  return bool(ActingAs(user));
}

Opened open_listener(const ListenerOptions& options) {
  const Family family = options.at.address.family;
  Fd socket = new_socket(family, options.type);
  if (!socket) return errno;
  const bool ipv6 = family == Family::ipv6;
  const int level = ipv6 ? IPPROTO_IPV6 : IPPROTO_IP;
  if (!set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1) ||
      (ipv6 && !set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1)) ||
      (options.transparent &&
       !set_option(socket, level, ipv6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, 1)) ||
      !bind_to(socket, options.at) ||
      (options.type == SOCK_STREAM && !options.reserve && listen(socket.get(), backlog) != 0)) {
    return errno;
  }
  return socket;
}

Opened open_client(const Connection& connection, int type) {
  Fd socket;
  {
    const ActingAs user(connection.as);
    if (!user) throw Error(EPERM, "act as UID " + std::to_string(connection.as.uid));
    socket = new_socket(connection.to.address.family, type);
    if (!socket) return errno;
  }
  if ((connection.mark != 0 && !set_option(socket, SOL_SOCKET, SO_MARK, connection.mark)) ||
      (connection.from && !bind_to(socket, {.address = *connection.from, .port = 0}))) {
    return errno;
  }
  return socket;
}

int connect_to(const Fd& socket, const Endpoint& to) {
  SocketAddress address = to_socket_address(to);
  return connect(socket.get(), address.get(), address.size) == 0 ? 0 : errno;
}

int take_error(const Fd& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

std::optional<Endpoint> local_endpoint(const Fd& socket) {
  SocketAddress address;
  if (getsockname(socket.get(), address.get(), &address.size) != 0) return std::nullopt;
  return to_endpoint(address);
}

std::optional<Endpoint> original_destination(const Fd& socket, Family family) {
  SocketAddress address;
  const int level = family == Family::ipv4 ? IPPROTO_IP : IPPROTO_IPV6;
  address.size = family == Family::ipv4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (getsockopt(socket.get(), level, so_original_dst, address.get(), &address.size) != 0) {
    return std::nullopt;
  }
  return to_endpoint(address);
}

Ready wait_for(int listener, int client, short client_events, Clock::time_point deadline) {
  std::array<pollfd, 2> sockets{{{.fd = listener, .events = POLLIN, .revents = 0},
                                 {.fd = client, .events = client_events, .revents = 0}}};
  if (poll(sockets.data(), sockets.size(), milliseconds_until(deadline)) <= 0) return {};
  return {.listener = sockets[0].revents != 0, .client = sockets[1].revents != 0};
}

void pause(Clock::duration duration, Clock::time_point deadline) {
  poll(nullptr, 0, milliseconds_until(std::min(Clock::now() + duration, deadline)));
}

IpAddress localhost(Family family) {
  return parse_address(family == Family::ipv4 ? "127.0.0.1" : "::1");
}

IpAddress any_address(Family family) {
  return {.family = family, .bytes = {}};
}

std::string to_string(const Endpoint& endpoint) {
  const std::string address = to_string(endpoint.address);
  const bool ipv6 = endpoint.address.family == Family::ipv6;
  return (ipv6 ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port);
}

std::variant<IpAddress, int> source_for(const IpAddress& to) {
  constexpr std::uint16_t discard = 9;
  const Fd socket = new_socket(to.family, SOCK_DGRAM);
  if (!socket) return errno;
  if (const int errnum = connect_to(socket, {.address = to, .port = discard})) return errnum;
  const std::optional<Endpoint> local = local_endpoint(socket);
  if (!local) return errno;
  return local->address;
}

}  // namespace sluice::cmd::istio_iptables

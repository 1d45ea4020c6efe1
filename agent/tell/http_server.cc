// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tell/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <exception>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "agent/tell/http_request.h"
#include "rules/error.h"
#include "rules/ip.h"
#include "rules/kernel/fd.h"

namespace sluice::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t connections_limit = 64;
constexpr auto connection_lifetime = std::chrono::seconds(5);
// Who has just come has had no turn yet and makes room for nobody.
constexpr auto eviction_age = std::chrono::seconds(1);
constexpr int retry_ms = 100;
constexpr std::size_t accepted_at_once = 16;

struct Endpoint {
  IpAddress ip = {};
  std::uint16_t port = 0;
};

Endpoint parse_endpoint(const std::string& address) {
  const std::string wanted = "the address to serve HTTP on, " + quote(address) +
                             ", is not IP:PORT or [IP6]:PORT with one of this host's addresses";
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) throw Error(wanted);
  std::string_view host = std::string_view(address).substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const std::string_view digits = std::string_view(address).substr(colon + 1);
  Endpoint endpoint{.ip = parse_address(host)};
  const auto [end, failure] = std::from_chars(digits.begin(), digits.end(), endpoint.port);
  if (failure != std::errc{} || end != digits.end()) throw Error(wanted);
  const bool all = endpoint.ip.bytes == IpAddress{}.bytes;
  if (all || bracketed != (endpoint.ip.family == Family::ipv6)) throw Error(wanted);
  return endpoint;
}

int bind_to(int fd, const Endpoint& endpoint) {
  if (endpoint.ip.family == Family::ipv4) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    std::memcpy(&address.sin_addr, endpoint.ip.bytes.data(), sizeof address.sin_addr);
    return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(endpoint.port);
  std::memcpy(&address.sin6_addr, endpoint.ip.bytes.data(), sizeof address.sin6_addr);
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

kernel::Fd listen_on(const std::string& text) {
  const Endpoint endpoint = parse_endpoint(text);
  const std::string doing = "listen for HTTP on " + quote(text);
  kernel::Fd fd(socket(endpoint.ip.family == Family::ipv4 ? AF_INET : AF_INET6,
                       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) throw Error(errno, doing);
  // The agent before this one leaves connections in TIME_WAIT.
  const int on = 1;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind_to(fd.get(), endpoint) != 0 || listen(fd.get(), SOMAXCONN) != 0) {
    throw Error(errno, doing);
  }
  return fd;
}

struct Connection {
  kernel::Fd fd = {};
  Clock::time_point end = {};
  std::string received = {};
  std::string answer = {};  // what is left to send
  // reading until the request is complete, then writing, then waiting for the peer to close: a
  // socket closed with bytes unread resets the connection, and the answer with it.
  enum class Phase : std::uint8_t { reading, writing, closing, over } phase = Phase::reading;
};

}  // namespace

class HttpServer::Loop {
 public:
  Loop(const std::string& address, std::map<std::string, Handler> handlers)
      : handlers_(std::move(handlers)),
        listener_(listen_on(address)),
        stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!stop_) throw Error(errno, "make an eventfd");
    thread_ = std::thread([this] { run(); });
  }
  Loop(const Loop&) = delete;
  Loop(Loop&&) = delete;
  Loop& operator=(const Loop&) = delete;
  Loop& operator=(Loop&&) = delete;
  ~Loop() {
    eventfd_write(stop_.get(), 1);
    thread_.join();
  }

  std::uint16_t port() const {
    sockaddr_in6 address{};  // sin_port stands where sin6_port does
    socklen_t size = sizeof address;
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin6_port);
  }

 private:
  void run();
  void accept_all();
  bool make_room();
  void serve(Connection& connection, short events);
  void read_request(Connection& connection);
  static void write_answer(Connection& connection);
  static void wait_for_close(Connection& connection);
  HttpAnswer answer_to(const HttpRequest& request) const;
  int milliseconds_left() const;
  bool is_full() const { return connections_.size() >= connections_limit; }

  const std::map<std::string, Handler> handlers_;
  kernel::Fd listener_;
  kernel::Fd stop_;
  std::vector<Connection> connections_ = {};  // the oldest first
  std::thread thread_ = {};
};

int HttpServer::Loop::milliseconds_left() const {
  if (connections_.empty()) return -1;
  if (is_full()) return retry_ms;
  const auto left = connections_.front().end - Clock::now();
  return static_cast<int>(
      std::max(std::chrono::ceil<std::chrono::milliseconds>(left).count(), std::int64_t{0}));
}

void HttpServer::Loop::run() {
  for (;;) {
    std::vector<pollfd> polled{{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                               {.fd = is_full() ? -1 : listener_.get(),  // poll(2) skips -1
                                .events = POLLIN,
                                .revents = 0}};
    for (const Connection& connection : connections_) {
      const bool writing = connection.phase == Connection::Phase::writing;
      polled.push_back({.fd = connection.fd.get(),
                        .events = static_cast<short>(writing ? POLLOUT : POLLIN),
                        .revents = 0});
    }
    if (poll(polled.data(), polled.size(), milliseconds_left()) < 0 && errno != EINTR) return;
    if (polled[0].revents != 0) return;
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      serve(connections_[i], polled[i + 2].revents);
    }
    std::erase_if(connections_, [](const Connection& connection) {
      return connection.phase == Connection::Phase::over;
    });
    if (polled[1].revents != 0 || is_full()) accept_all();
  }
}

void HttpServer::Loop::accept_all() {
  // A few, then those who are connected have their turn: what waits stays in the backlog.
  for (std::size_t i = 0; i < accepted_at_once; ++i) {
    if (connections_.size() == connections_limit && !make_room()) return;
    kernel::Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      // Without a descriptor left poll(2) would return at once, again and again.
      if (errno == EMFILE || errno == ENFILE) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      return;
    }
    connections_.push_back({.fd = std::move(fd), .end = Clock::now() + connection_lifetime});
  }
}

bool HttpServer::Loop::make_room() {
  const auto newest = Clock::now() + connection_lifetime - eviction_age;
  const auto silent =
      std::find_if(connections_.begin(), connections_.end(), [&](const Connection& connection) {
        return connection.phase != Connection::Phase::writing && connection.end <= newest;
      });
  if (silent == connections_.end()) return false;
  connections_.erase(silent);
  return true;
}

void HttpServer::Loop::serve(Connection& connection, short events) {
  if (Clock::now() >= connection.end) {
    connection.phase = Connection::Phase::over;
    return;
  }
  if (events == 0) return;
  switch (connection.phase) {
    case Connection::Phase::reading:
      return read_request(connection);
    case Connection::Phase::writing:
      return write_answer(connection);
    case Connection::Phase::closing:
      return wait_for_close(connection);
    case Connection::Phase::over:
      return;
  }
}

void HttpServer::Loop::read_request(Connection& connection) {
  std::array<char, http_request_limit> buffer{};
  const ssize_t got = recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    connection.phase = Connection::Phase::over;
    return;
  }
  connection.received.append(buffer.data(), static_cast<std::size_t>(got));
  if (!is_complete(connection.received)) return;
  const HttpRequest request = parse_http_request(connection.received);
  connection.answer = print_http_answer(answer_to(request), request.method != "HEAD");
  connection.phase = Connection::Phase::writing;
  write_answer(connection);
}

void HttpServer::Loop::write_answer(Connection& connection) {
  const ssize_t sent =
      send(connection.fd.get(), connection.answer.data(), connection.answer.size(), MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (sent < 0) {
    connection.phase = Connection::Phase::over;
    return;
  }
  connection.answer.erase(0, static_cast<std::size_t>(sent));
  if (!connection.answer.empty()) return;
  shutdown(connection.fd.get(), SHUT_WR);
  connection.phase = Connection::Phase::closing;
}

void HttpServer::Loop::wait_for_close(Connection& connection) {
  std::array<char, http_request_limit> buffer{};
  const ssize_t got = recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) connection.phase = Connection::Phase::over;
}

HttpAnswer HttpServer::Loop::answer_to(const HttpRequest& request) const {
  if (request.refusal != 0) return {.status = request.refusal, .body = "not served\n"};
  if (request.method != "GET" && request.method != "HEAD") {
    return {.status = 405, .body = "only GET and HEAD\n"};
  }
  const auto handler = handlers_.find(request.path);
  if (handler == handlers_.end()) return {.status = 404, .body = "no such page\n"};
  try {
    return handler->second();
  } catch (const std::exception& error) {
    return {.status = 500, .body = printable(error.what()) + "\n"};
  }
}

HttpServer::HttpServer(const std::string& address, std::map<std::string, Handler> handlers)
    : loop_(std::make_unique<Loop>(address, std::move(handlers))) {}

HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const {
  return loop_->port();
}

}  // namespace sluice::agent

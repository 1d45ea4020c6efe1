// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tell/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "rules/error.h"
#include "rules/kernel/fd.h"

namespace sluice::agent {
namespace {

using Clock = std::chrono::steady_clock;

kernel::Fd connect_to(std::uint16_t port, bool ipv6 = false) {
  sockaddr_in6 address6{};
  address6.sin6_family = AF_INET6;
  address6.sin6_port = htons(port);
  address6.sin6_addr = in6addr_loopback;
  sockaddr_in address4{};
  address4.sin_family = AF_INET;
  address4.sin_port = htons(port);
  address4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  kernel::Fd fd(socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const void* address = ipv6 ? static_cast<const void*>(&address6) : &address4;
  const socklen_t size = ipv6 ? sizeof address6 : sizeof address4;
  REQUIRE(connect(fd.get(), static_cast<const sockaddr*>(address), size) == 0);
  return fd;
}

// Everything that comes back until the server closes.
std::string ask(std::uint16_t port, const std::string& request, bool ipv6 = false) {
  const kernel::Fd fd = connect_to(port, ipv6);
  REQUIRE(send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size()));
  std::string answer;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t got = recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) return answer;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

std::string get(std::uint16_t port, const std::string& path, bool ipv6 = false) {
  return ask(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n", ipv6);
}

std::map<std::string, HttpServer::Handler> handlers() {
  return {{"/healthz", [] { return HttpAnswer{.body = "ok\n"}; }},
          {"/readyz", [] { return HttpAnswer{.status = 503, .body = "watch: not yet\n"}; }},
          {"/broken", []() -> HttpAnswer { throw std::runtime_error("a\nb"); }},
          {"/large", [] { return HttpAnswer{.body = std::string(std::size_t{3} << 20U, 'x')}; }}};
}

bool starts_with(const std::string& text, const std::string& start) {
  return text.rfind(start, 0) == 0;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

TEST_CASE("a handler's status and body are served, over both families") {
  for (const bool ipv6 : {false, true}) {
    const HttpServer server(ipv6 ? "[::1]:0" : "127.0.0.1:0", handlers());
    REQUIRE(server.port() != 0);
    const std::string ok = get(server.port(), "/healthz", ipv6);
    CHECK(starts_with(ok, "HTTP/1.1 200 OK\r\n"));
    CHECK(ends_with(ok, "\r\n\r\nok\n"));
    CHECK(ok.find("Content-Type: text/plain; charset=utf-8\r\n") != std::string::npos);
    const std::string unready = get(server.port(), "/readyz", ipv6);
    CHECK(starts_with(unready, "HTTP/1.1 503 Service Unavailable\r\n"));
    CHECK(ends_with(unready, "watch: not yet\n"));
  }
}

TEST_CASE("HEAD has no body, a query is not part of the path, a large answer comes whole") {
  const HttpServer server("127.0.0.1:0", handlers());
  const std::string head = ask(server.port(), "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(starts_with(head, "HTTP/1.1 200 OK\r\n"));
  CHECK(head.find("Content-Length: 3\r\n") != std::string::npos);
  CHECK(ends_with(head, "\r\n\r\n"));
  CHECK(ends_with(get(server.port(), "/healthz?verbose=1"), "ok\n"));
  CHECK(get(server.port(), "/large").size() > std::size_t{3} << 20U);
}

TEST_CASE("other paths and methods are refused, a handler that throws is answered for") {
  const HttpServer server("127.0.0.1:0", handlers());
  const std::uint16_t port = server.port();
  for (const char* path :
       {"/", "/healthz/", "/etc/passwd", "/../healthz/..", "/%2e%2e/etc/passwd", "/healthz%00"}) {
    CAPTURE(path);
    CHECK(get(port, path).find(" 200 ") == std::string::npos);
  }
  CHECK(starts_with(get(port, "/nothing"), "HTTP/1.1 404 "));
  const std::string posted =
      ask(port, "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  CHECK(starts_with(posted, "HTTP/1.1 405 "));
  CHECK(posted.find("Allow: GET, HEAD\r\n") != std::string::npos);
  CHECK(starts_with(ask(port, "PUT /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
                    "HTTP/1.1 405 "));
  const std::string broken = get(port, "/broken");
  CHECK(starts_with(broken, "HTTP/1.1 500 "));
  CHECK(ends_with(broken, "a\\x0ab\n"));
}

TEST_CASE("what is no request or too large is refused, and the next one served") {
  const HttpServer server("127.0.0.1:0", handlers());
  const std::uint16_t port = server.port();
  CHECK(get(port, "/" + std::string(8000, 'a')).find(" 200 ") == std::string::npos);
  CHECK(ask(port, "GET /healthz HTTP/1.1\r\nX: " + std::string(8000, 'a') + "\r\n\r\n")
            .find(" 200 ") == std::string::npos);
  CHECK(ask(port, std::string("\0\x01\xff garbage\r\n\r\n", 15)).find(" 200 ") ==
        std::string::npos);
  for (const char* line : {"GET", "GET /healthz", "GET /healthz ", "GET  HTTP/1.1",
                           " /healthz HTTP/1.1", "GET /healthz HTTP/2.0", "GET healthz HTTP/1.1",
                           "", "\n", "GET /healthz HTTP/1.1 x", "GET  /healthz HTTP/1.1"}) {
    CAPTURE(line);
    CHECK(starts_with(ask(port, std::string(line) + "\r\n\r\n"), "HTTP/1.1 400 "));
  }
  CHECK(starts_with(get(port, "/" + std::string(4096, 'a')), "HTTP/1.1 431 "));
  CHECK(starts_with(get(port, "/healthz"), "HTTP/1.1 200 "));
}

TEST_CASE("connections that say nothing hold up nobody") {
  const HttpServer server("127.0.0.1:0", handlers());
  std::vector<kernel::Fd> idle;
  for (int i = 0; i < 10; ++i) {
    idle.push_back(connect_to(server.port()));
    if (i % 2 == 0) REQUIRE(send(idle.back().get(), "GET /he", 7, MSG_NOSIGNAL) == 7);
  }
  const auto start = Clock::now();
  CHECK(starts_with(get(server.port(), "/healthz"), "HTTP/1.1 200 "));
  CHECK(Clock::now() - start < std::chrono::seconds(3));
  // More than there is room for.
  for (int i = 0; i < 200; ++i) idle.push_back(connect_to(server.port()));
  CHECK(starts_with(get(server.port(), "/healthz"), "HTTP/1.1 200 "));
}

TEST_CASE("a request may come byte by byte, and a connection that dawdles is closed") {
  const HttpServer server("127.0.0.1:0", handlers());
  const kernel::Fd slow = connect_to(server.port());
  for (const char c : std::string("GET /healthz HTTP/1.1\r\n\r")) {
    REQUIRE(send(slow.get(), &c, 1, MSG_NOSIGNAL) == 1);
  }
  const kernel::Fd idle = connect_to(server.port());
  REQUIRE(send(slow.get(), "\n", 1, MSG_NOSIGNAL) == 1);
  std::array<char, 4096> buffer{};
  const ssize_t got = recv(slow.get(), buffer.data(), buffer.size(), 0);
  REQUIRE(got > 0);
  CHECK(starts_with(buffer.data(), "HTTP/1.1 200 "));
  CHECK(recv(idle.get(), buffer.data(), buffer.size(), 0) == 0);
}

TEST_CASE("a peer that does not read its answer holds up nobody") {
  const HttpServer server("127.0.0.1:0", handlers());
  const kernel::Fd deaf = connect_to(server.port());
  const std::string request = "GET /large HTTP/1.1\r\n\r\n";
  REQUIRE(send(deaf.get(), request.data(), request.size(), MSG_NOSIGNAL) > 0);
  CHECK(starts_with(get(server.port(), "/healthz"), "HTTP/1.1 200 "));
}

TEST_CASE("where it cannot listen, or not on one address only, it says so") {
  const HttpServer server("127.0.0.1:0", handlers());
  const std::string taken = "127.0.0.1:" + std::to_string(server.port());
  CHECK_THROWS_WITH(HttpServer(taken, handlers()),
                    Catch::Contains(taken) && Catch::Contains("Address already in use"));
  CHECK(starts_with(get(server.port(), "/healthz"), "HTTP/1.1 200 "));
  // TEST-NET-1 is nobody's address.
  CHECK_THROWS_WITH(HttpServer("192.0.2.1:0", handlers()), Catch::Contains("192.0.2.1:0"));
  for (const char* address :
       {"8080", "", ":", ":8080", "0.0.0.0:8080", "[::]:8080", "+8080", "::1:8080",
        "[127.0.0.1]:8080", "127.0.0.1:8080s", "127.0.0.1:+80", "127.0.0.1:65536",
        "127.0.0.1:80,127.0.0.1:81", "localhost:8080", "127.0.0.1:", "[]:1", "127.0.0.1:-1"}) {
    CAPTURE(address);
    CHECK_THROWS_AS(HttpServer(address, handlers()), Error);
  }
}

TEST_CASE("it stops with connections open") {
  const auto start = Clock::now();
  {
    const HttpServer server("127.0.0.1:0", handlers());
    const kernel::Fd idle = connect_to(server.port());
    CHECK(starts_with(get(server.port(), "/healthz"), "HTTP/1.1 200 "));
  }
  CHECK(Clock::now() - start < std::chrono::seconds(3));
}

}  // namespace sluice::agent

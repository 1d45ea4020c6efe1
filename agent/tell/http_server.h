// SPDX-License-Identifier: GPL-2.0-or-later
// /healthz, /readyz and /metrics over HTTP/1.1 (RFC 9112), as much of it as the kubelet, Prometheus
// and curl need. Written out because Debian's civetweb speaks no IPv6, and the servers that do
// bring a TLS library with them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace sluice::agent {

struct HttpAnswer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body = {};
};

// Serves GET and HEAD of the paths it was given, 404 and 405 otherwise. A connection serves one
// request of at most 4 KiB and has five seconds from its start to its end; of those that have not
// asked yet the oldest makes room where there are too many. None can hold up another.
class HttpServer {
 public:
  using Handler = std::function<HttpAnswer()>;  // called from the server's one thread

  // `address` is "IP:PORT" or "[IP6]:PORT": one address, never all; port 0 is any that is free.
  // Throws Error if it cannot listen there: an agent that nobody can ask must not look healthy.
  // A handler that throws is answered with 500.
  HttpServer(const std::string& address, std::map<std::string, Handler> handlers);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer(HttpServer&&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  HttpServer& operator=(HttpServer&&) = delete;

  std::uint16_t port() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// /healthz, /readyz and /metrics over HTTP, by civetweb.
#pragma once

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

// Serves GET and HEAD of the paths it was given, 404 and 405 otherwise; requests are small or
// refused.
class HttpServer {
 public:
  using Handler = std::function<HttpAnswer()>;  // called from the server's threads

  // `address` is "IP:PORT" or "[IP6]:PORT": one address, never all. Throws Error if it cannot
  // listen there: an agent that nobody can ask must not look healthy.
  HttpServer(const std::string& address, std::map<std::string, Handler> handlers);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer(HttpServer&&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  HttpServer& operator=(HttpServer&&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::agent

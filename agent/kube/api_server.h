// SPDX-License-Identifier: GPL-2.0-or-later
// HTTPS to the Kubernetes API server, through libcurl.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace sluice::agent {

struct ApiConfig {
  // "https://10.96.0.1:443", "https://[fd00::1]:443"; never looked up by name in the container.
  std::string url = {};
  // Read again whenever they change: both are rotated. The token never leaves the process.
  std::string token_file = "/var/run/secrets/kubernetes.io/serviceaccount/token";
  std::string ca_file = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

  // From KUBERNETES_SERVICE_HOST and _PORT, IPv6 in brackets. Throws Error if they are not set.
  static std::string url_of_environment();
};

struct ApiResponse {
  long status = 0;  // HTTP
  std::string body = {};
};

// Answers larger than this are an error, chunks of a stream aside.
inline constexpr std::size_t api_body_limit = std::size_t{8} * 1024 * 1024;

// One connection, kept between requests; one thread at a time. Threads have one each.
class ApiServer {
 public:
  explicit ApiServer(ApiConfig config);
  ApiServer(const ApiServer&) = delete;
  ApiServer(ApiServer&&) noexcept;
  ApiServer& operator=(const ApiServer&) = delete;
  ApiServer& operator=(ApiServer&&) noexcept;
  ~ApiServer();

  struct Request {
    std::string method = "GET";
    std::string path = {};  // with its query, escaped: see escape()
    std::string body = {};
    std::string content_type = "application/json";
  };

  // Throws Error (ETIMEDOUT when `deadline` passes, ECONNREFUSED, EPROTO...) if no complete answer
  // comes; every HTTP status is an answer. On 401 the token is read again and tried once more.
  ApiResponse send(const Request& request, std::chrono::milliseconds deadline);

  // Reads an answer of status 200 chunk by chunk until it ends, `on_data` returns false, `stop`
  // returns true (asked at least every second) or nothing came for `silence`. Another status is
  // returned with its body, `on_data` is not called. Throws Error if the connection breaks.
  ApiResponse stream(const std::string& path, std::chrono::milliseconds silence,
                     const std::function<bool(std::string_view)>& on_data,
                     const std::function<bool()>& stop);

  // Percent-encoded for a path segment or a query's value.
  static std::string escape(std::string_view text);

 private:
  class Connection;
  std::unique_ptr<Connection> connection_;
};

// The "message" of a Status object, else the beginning of the body; one line, for errors.
std::string api_message(const ApiResponse& response);

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// HTTPS to the Kubernetes API server, through libcurl.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace sluice::agent {

struct ApiConfig {
  // "https://10.96.0.1:443", "https://[fd00::1]:443": an address, never looked up by name, because
  // a look-up has no deadline.
  std::string url = {};
  // Read again whenever they change: both are rotated. The token never leaves the process but to
  // a server whose certificate `ca_file` vouches for.
  std::string token_file = "/var/run/secrets/kubernetes.io/serviceaccount/token";
  std::string ca_file = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

  // From KUBERNETES_SERVICE_HOST and _PORT, IPv6 in brackets. Throws Error if they are not set or
  // no address and port.
  static std::string url_of_environment();
};

// HTTP's status codes that decide something (RFC 9110, section 15).
namespace http {
inline constexpr long ok = 200;
inline constexpr long unauthorized = 401;
inline constexpr long forbidden = 403;
inline constexpr long not_found = 404;
inline constexpr long conflict = 409;
inline constexpr long gone = 410;           // a list or watch from a version that is too old
inline constexpr long unprocessable = 422;  // a JSON patch whose "test" fails
}  // namespace http

struct ApiResponse {
  long status = 0;  // HTTP
  std::string body = {};
  std::chrono::seconds retry_after{0};  // the header Retry-After; 0 without it
};

// Answers larger than this are an error, chunks of a stream aside.
inline constexpr std::size_t api_body_limit = std::size_t{8} * 1024 * 1024;

// One connection, kept between requests and given up when the CA changes; one thread at a time.
// Threads have one each. No redirect is followed, no proxy, .netrc or other configuration of the
// environment counts.
class ApiServer {
 public:
  // Throws Error if the URL is not https to an address. Connects with the first request.
  explicit ApiServer(ApiConfig config);
  ApiServer(const ApiServer&) = delete;
  ApiServer(ApiServer&& other) noexcept;
  ApiServer& operator=(const ApiServer&) = delete;
  ApiServer& operator=(ApiServer&& other) noexcept;
  ~ApiServer();

  struct Request {
    std::string method = "GET";
    std::string path = {};  // with its query, escaped: see escape()
    std::string body = {};
    std::string content_type = "application/json";
  };

  // Throws Error if no complete answer comes (ETIMEDOUT when `deadline` passes, ECONNREFUSED,
  // ECONNRESET, EKEYREJECTED for a certificate, EMSGSIZE for a body beyond the limit, else EPROTO)
  // or token or CA cannot be read; every HTTP status is an answer. On 401 the token is read again
  // and, if it is another one, the request made once more.
  ApiResponse send(const Request& request, std::chrono::milliseconds deadline);

  struct Patience {
    std::chrono::milliseconds answer{30'000};   // until the answer begins
    std::chrono::milliseconds silence{30'000};  // between its bytes
  };
  // Reads an answer of status 200 chunk by chunk until it ends, `on_data` returns false, `stop`
  // returns true (asked at least every second) or nothing came for `patience.silence`. The first
  // chunk is empty: the answer has begun. Another status is returned with its body, `on_data` is
  // not called; status 0 means stopped before there was one. Throws Error as send(), also if the
  // connection breaks; passes on what `on_data` throws.
  ApiResponse stream(const std::string& path, const Patience& patience,
                     const std::function<bool(std::string_view)>& on_data,
                     const std::function<bool()>& stop);

  // Percent-encoded for a path segment or a query's value.
  static std::string escape(std::string_view text);

 private:
  class Connection;
  std::unique_ptr<Connection> connection_;
};

// The "message" of a Status object, else the beginning of the body, else the HTTP status; one line,
// for errors.
std::string api_message(const ApiResponse& response);

}  // namespace sluice::agent

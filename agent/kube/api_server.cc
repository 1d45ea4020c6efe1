// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/api_server.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "agent/kube/connection.h"
#include "cni/json.h"
#include "cni/object.h"
#include "rules/error.h"
#include "rules/ip.h"
#include "rules/parse.h"

namespace sluice::agent {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t message_limit = 300;

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody writes to it
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

std::string ApiConfig::url_of_environment() {
  const std::string host = environment("KUBERNETES_SERVICE_HOST");
  const std::string port = environment("KUBERNETES_SERVICE_PORT");
  if (host.empty() || port.empty()) {
    throw Error("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: not in a pod");
  }
  std::string url = "https://";
  try {
    const IpAddress address = parse_address(host);
    url += address.family == Family::ipv6 ? "[" + to_string(address) + "]" : to_string(address);
  } catch (const Error& error) {
    throw Error(std::string("KUBERNETES_SERVICE_HOST: ") + error.what());
  }
  try {
    return url + ":" + std::to_string(parse_port(port));
  } catch (const Error& error) {
    throw Error(std::string("KUBERNETES_SERVICE_PORT: ") + error.what());
  }
}

ApiServer::ApiServer(ApiConfig config)
    : connection_(std::make_unique<Connection>(std::move(config))) {}
ApiServer::ApiServer(ApiServer&& other) noexcept = default;
ApiServer& ApiServer::operator=(ApiServer&& other) noexcept = default;
ApiServer::~ApiServer() = default;

ApiResponse ApiServer::send(const Request& request, milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  ApiResponse response = connection_->send(request, deadline);
  if (response.status != http::unauthorized || !connection_->renew_token()) return response;
  const auto left = std::chrono::ceil<milliseconds>(end - Clock::now());
  return connection_->send(request, std::max(left, milliseconds(1)));
}

ApiResponse ApiServer::stream(const std::string& path, const Patience& patience,
                              const std::function<bool(std::string_view)>& on_data,
                              const std::function<bool()>& stop) {
  ApiResponse response = connection_->stream(path, patience, on_data, stop);
  if (response.status != http::unauthorized || !connection_->renew_token()) return response;
  return connection_->stream(path, patience, on_data, stop);
}

std::string ApiServer::escape(std::string_view text) {
  constexpr std::array<char, 17> digits{"0123456789ABCDEF"};
  constexpr std::string_view plain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string escaped;
  for (const char c : text) {
    if (plain.find(c) != std::string_view::npos) {
      escaped += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      escaped += '%';
      escaped += digits.at(byte >> 4U);
      escaped += digits.at(byte & 0xfU);
    }
  }
  return escaped;
}

std::string api_message(const ApiResponse& response) {
  std::string message;
  try {
    const cni::Json status = cni::parse_json(response.body, "the answer");
    message = cni::string_or(cni::member(status, "message"), "", "message");
  } catch (const Error&) {
    message = response.body;
  }
  if (message.empty()) return "HTTP status " + std::to_string(response.status);
  const bool whole = message.size() <= message_limit;
  return printable(message.substr(0, message_limit)) + (whole ? "" : "...");
}

}  // namespace sluice::agent

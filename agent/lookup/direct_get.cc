// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/lookup/direct_get.h"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "agent/kube/pod_record.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

bool is_subdomain(std::string_view text) {
  constexpr std::size_t length_limit = 253;
  constexpr std::string_view alphanumeric = "abcdefghijklmnopqrstuvwxyz0123456789";
  const auto is_inner = [&](char c) {
    return c == '-' || c == '.' || alphanumeric.find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= length_limit &&
         alphanumeric.find(text.front()) != std::string_view::npos &&
         alphanumeric.find(text.back()) != std::string_view::npos &&
         std::all_of(text.begin(), text.end(), is_inner);
}

// nullopt: given up. Through stream(), which can be stopped; the answer is one body all the same.
std::optional<ApiResponse> ask(ApiServer& server, const std::string& path,
                               Clock::time_point deadline, const std::function<bool()>& stop) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
  if (left <= milliseconds(0)) return std::nullopt;
  bool given_up = false;
  std::string body;
  ApiResponse response = server.stream(
      path, {.answer = left, .silence = left},
      [&](std::string_view data) {
        if (body.size() + data.size() > api_body_limit) {
          throw Error(EMSGSIZE, "read the answer of the API server");
        }
        body += data;
        return true;
      },
      [&] {
        given_up = given_up || stop() || Clock::now() >= deadline;
        return given_up;
      });
  if (given_up) return std::nullopt;
  if (response.status == http::ok) response.body = std::move(body);
  return response;
}

PodFound read_answer(const ApiResponse& response, const PodQuestion& question,
                     const std::string& node) {
  if (response.status == http::not_found) return {.unknown = "the API server has no such pod"};
  if (response.status != http::ok) {
    return {.unknown = "the API server says: " + api_message(response)};
  }
  const cni::Json pod = parse_pod(response.body);
  PodRecord record = read_pod_record(pod);
  if (record.name_space != question.name_space || record.name != question.name) {
    return {.unknown = "the API server answered with another pod"};
  }
  if (!record.is(question.uid)) {
    return {.unknown = "the pod of that name has UID " + quote(record.uid) +
                       ", the sandbox is of UID " + quote(question.uid)};
  }
  const std::string its_node = node_of(pod);
  if (!node.empty() && its_node != node) {
    return {.unknown = "the pod of that name is on node " + quote(its_node) + ", not on this one"};
  }
  return {.pod = std::move(record)};
}

}  // namespace

bool names_a_pod(const PodQuestion& question) {
  return is_subdomain(question.name_space) && is_subdomain(question.name);
}

PodFound get_pod(ApiServer& server, const PodQuestion& question, const std::string& node,
                 Clock::time_point deadline, const std::function<bool()>& stop) {
  const std::string path = "/api/v1/namespaces/" + ApiServer::escape(question.name_space) +
                           "/pods/" + ApiServer::escape(question.name);
  try {
    const std::optional<ApiResponse> response = ask(server, path, deadline, stop);
    if (!response) return {.unknown = api_too_late};
    return read_answer(*response, question, node);
  } catch (const Error& error) {
    if (error.code() == std::errc::timed_out) return {.unknown = api_too_late};
    return {.unknown = std::string("the API server cannot be asked: ") + error.what()};
  }
}

}  // namespace sluice::agent

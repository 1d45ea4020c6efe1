// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/pod_actions.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/kube/event_table.h"
#include "cni/json.h"
#include "cni/object.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

using cni::Json;
using cni::member;

constexpr std::chrono::milliseconds deadline{5'000};
constexpr const char* component = "sluice-agent";
constexpr const char* merge_patch = "application/merge-patch+json";
constexpr const char* json_patch = "application/json-patch+json";
constexpr int attempts = 5;
// Names of objects have at most 253 characters; 17 are ours.
constexpr std::size_t name_limit = 236;
constexpr std::size_t event_message_limit = 1024;

bool is_success(const ApiResponse& response) {
  return response.status >= 200 && response.status < 300;
}

[[noreturn]] void refuse(const std::string& doing, const ApiResponse& response) {
  throw Error(doing + ": the API server answers " + std::to_string(response.status) + " " +
              api_message(response));
}

std::string name_of(const PodRecord& pod) {
  return "pod " + quote(pod.name_space + "/" + pod.name);
}

std::string pod_path(const PodRecord& pod) {
  return "/api/v1/namespaces/" + ApiServer::escape(pod.name_space) + "/pods/" +
         ApiServer::escape(pod.name);
}

std::string events_path(const std::string& name_space) {
  return "/api/v1/namespaces/" + ApiServer::escape(name_space) + "/events";
}

class ServerActions final : public PodActions {
 public:
  ServerActions(ApiConfig api, std::string node)
      : server_(std::move(api)), node_(std::move(node)) {}

  void event(const PodRecord& pod, const std::string& type, const std::string& reason,
             const std::string& message) override;
  void remove(const PodRecord& pod) override;
  void label(const PodRecord& pod, const std::string& key, const std::string& value) override;
  bool remove_taints(const std::vector<std::string>& keys) override;

 private:
  bool repeat(EventTable::Entry& entry);
  Json new_event(const PodRecord& pod, const std::string& name) const;
  bool try_remove_taints(const std::string& path, const std::vector<std::string>& keys,
                         ApiResponse& response);

  ApiServer server_;
  std::string node_;
  EventTable table_;
};

Json ServerActions::new_event(const PodRecord& pod, const std::string& name) const {
  return {{"kind", "Event"},
          {"apiVersion", "v1"},
          {"metadata", {{"name", name}, {"namespace", pod.name_space}}},
          {"involvedObject",
           {{"kind", "Pod"},
            {"apiVersion", "v1"},
            {"namespace", pod.name_space},
            {"name", pod.name},
            {"uid", pod.uid}}},
          {"source", {{"component", component}, {"host", node_}}},
          {"reportingComponent", component},
          {"reportingInstance", node_}};
}

void ServerActions::event(const PodRecord& pod, const std::string& type, const std::string& reason,
                          const std::string& message) {
  const EventTable::Key key{pod.uid, reason, message};
  EventTable::Entry* known = table_.find(key);
  if (known != nullptr && repeat(*known)) return;
  const std::string name = pod.name.substr(0, name_limit) + "." + table_.unique_suffix();
  const std::string now = rfc3339_now();
  Json event = new_event(pod, name);
  event["type"] = type;
  event["reason"] = reason;
  event["message"] = message.substr(0, event_message_limit);
  event["firstTimestamp"] = now;
  event["lastTimestamp"] = now;
  event["count"] = 1;
  const ApiResponse response = server_.send(
      {.method = "POST", .path = events_path(pod.name_space), .body = cni::to_line(event)},
      deadline);
  if (!is_success(response)) refuse("write an event on " + name_of(pod), response);
  table_.put(key, {.name_space = pod.name_space, .name = name, .count = 1});
}

// False if the event is gone: the server keeps them for an hour, or was told to delete it.
bool ServerActions::repeat(EventTable::Entry& entry) {
  const Json patch{{"count", entry.count + 1}, {"lastTimestamp", rfc3339_now()}};
  const ApiResponse response =
      server_.send({.method = "PATCH",
                    .path = events_path(entry.name_space) + "/" + ApiServer::escape(entry.name),
                    .body = cni::to_line(patch),
                    .content_type = merge_patch},
                   deadline);
  if (response.status == http::not_found) return false;
  if (!is_success(response)) refuse("count an event in " + quote(entry.name_space), response);
  EventTable::count(entry);
  return true;
}

void ServerActions::remove(const PodRecord& pod) {
  const Json options{
      {"kind", "DeleteOptions"}, {"apiVersion", "v1"}, {"preconditions", {{"uid", pod.uid}}}};
  const ApiResponse response = server_.send(
      {.method = "DELETE", .path = pod_path(pod), .body = cni::to_line(options)}, deadline);
  const bool gone = response.status == http::not_found || response.status == http::conflict;
  if (!gone && !is_success(response)) refuse("delete " + name_of(pod), response);
}

void ServerActions::label(const PodRecord& pod, const std::string& key, const std::string& value) {
  // A UID in a patch is a precondition: the server answers 409 for another pod of this name.
  // Through the status labels can be changed and images cannot: a right to patch pods could run
  // anything.
  const Json patch{{"metadata", {{"uid", pod.uid}, {"labels", {{key, value}}}}}};
  const ApiResponse response = server_.send({.method = "PATCH",
                                             .path = pod_path(pod) + "/status",
                                             .body = cni::to_line(patch),
                                             .content_type = merge_patch},
                                            deadline);
  const bool gone = response.status == http::not_found || response.status == http::conflict;
  if (!gone && !is_success(response)) refuse("label " + name_of(pod), response);
}

bool ServerActions::remove_taints(const std::vector<std::string>& keys) {
  const std::string path = "/api/v1/nodes/" + ApiServer::escape(node_);
  ApiResponse response;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    if (!try_remove_taints(path, keys, response)) return false;
    if (is_success(response)) return true;
    if (response.status != http::conflict && response.status != http::unprocessable) break;
  }
  refuse("take taints off node " + quote(node_), response);
}

// False if there is no such taint; otherwise `response` is the patch's.
bool ServerActions::try_remove_taints(const std::string& path, const std::vector<std::string>& keys,
                                      ApiResponse& response) {
  response = server_.send({.path = path}, deadline);
  if (!is_success(response)) refuse("read node " + quote(node_), response);
  const Json node = cni::parse_json(response.body, "node " + quote(node_));
  const Json& taints = member(member(node, "spec"), "taints");
  Json kept = Json::array();
  for (const Json& taint : cni::array_or_empty(taints, "the node's spec.taints")) {
    const bool taken = std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
      return member(taint, "key") == key;
    });
    if (!taken) kept.push_back(taint);
  }
  if (kept.size() == taints.size()) return false;
  const Json test{{"op", "test"}, {"path", "/spec/taints"}, {"value", taints}};
  Json change{{"op", "remove"}, {"path", "/spec/taints"}};
  if (!kept.empty()) change = {{"op", "replace"}, {"path", "/spec/taints"}, {"value", kept}};
  response = server_.send({.method = "PATCH",
                           .path = path,
                           .body = cni::to_line(Json::array({test, change})),
                           .content_type = json_patch},
                          deadline);
  return true;
}

// Whether the Status says that this very object does not exist, as opposed to a path that some
// proxy or an older server does not know.
bool says_not_found(const Json& status, const std::string& name) {
  return member(status, "kind") == "Status" && member(status, "reason") == "NotFound" &&
         member(member(status, "details"), "name") == name;
}

}  // namespace

std::unique_ptr<PodActions> make_pod_actions(ApiConfig api, std::string node) {
  return std::make_unique<ServerActions>(std::move(api), std::move(node));
}

bool is_daemonset_deleted(ApiServer& server, const std::string& name_space,
                          const std::string& name) {
  try {
    const ApiResponse response =
        server.send({.path = "/apis/apps/v1/namespaces/" + ApiServer::escape(name_space) +
                             "/daemonsets/" + ApiServer::escape(name)},
                    deadline);
    const Json answer = cni::parse_json(response.body, "the answer");
    if (response.status == http::not_found) return says_not_found(answer, name);
    const Json& metadata = member(answer, "metadata");
    return is_success(response) && member(answer, "kind") == "DaemonSet" &&
           member(metadata, "name") == name && member(metadata, "deletionTimestamp").is_string();
  } catch (const Error&) {
    return false;
  }
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/watch_loop.h"

#include <algorithm>
#include <utility>

#include "agent/kube/line_reader.h"
#include "agent/kube/list_scanner.h"
#include "agent/kube/pod_record.h"
#include "cni/object.h"

namespace sluice::agent {
namespace {

using cni::Json;
using cni::member;
using cni::string_of;

// A stream that lasted this long is none that fails at once.
constexpr std::chrono::seconds steady_after{10};
// So often the same place of the stream may be unreadable before the pods are listed instead.
constexpr int strike_limit = 2;
constexpr std::size_t version_limit = 128;

std::string version_of(const Json& object) {
  const Json& version = member(member(object, "metadata"), "resourceVersion");
  if (!version.is_string()) throw Error("an object has no metadata.resourceVersion");
  std::string text = version.get<std::string>();
  if (text.empty() || text.size() > version_limit) {
    throw Error("metadata.resourceVersion is " + quote(text));
  }
  return text;
}

bool is_gone(const Json& status) {
  const std::string reason = string_of(member(status, "reason"));
  return member(status, "code") == http::gone || reason == "Expired" || reason == "Gone";
}

}  // namespace

void WatchLoop::run() {
  while (!stop_()) {
    const Outcome outcome = version_.empty() ? list() : watch();
    if (stop_()) return;
    if (*outcome.reason == '\0') continue;
    settle(outcome);
    const auto asked = std::min<std::chrono::milliseconds>(outcome.retry_after, Backoff::longest);
    wait_unless(stop_, std::max(backoff_.next(), asked));
  }
}

std::string WatchLoop::path(const std::string& parameters) const {
  return "/api/v1/pods?fieldSelector=" + ApiServer::escape("spec.nodeName=" + parts_.node) +
         parameters;
}

// What is not understood ends a stream, and is told apart from a connection that breaks.
bool WatchLoop::understand(const std::function<bool()>& read) {
  heard_ = Clock::now();
  try {
    return read();
  } catch (const Error& error) {
    unreadable_ = error.what();
    return false;
  }
}

void WatchLoop::begin() {
  heard_.reset();
  unreadable_.clear();
  told_ = false;
  error_ = nullptr;
}

WatchLoop::Outcome WatchLoop::list() {
  std::vector<PodRecord> pods;
  ListScanner scanner([&](std::string_view item) {
    try {
      std::optional<PodRecord> record = record_of(parse_pod(item));
      if (record) pods.push_back(std::move(*record));
    } catch (const Error& error) {
      not_readable(error);
    }
  });
  const auto take = [&](std::string_view chunk) {
    return understand([&] {
      scanner.feed(chunk);
      return true;
    });
  };
  const auto finish = [&] {
    version_ = version_of(cni::parse_json(scanner.finish(), "the list"));
    return true;
  };
  begin();
  const ApiServer::Patience patience{.answer = parts_.times.answer,
                                     .silence = parts_.times.list_silence};
  try {
    const ApiResponse response =
        parts_.server.stream(path(from_quorum_ ? "" : "&resourceVersion=0"), patience, take, stop_);
    if (response.status != http::ok) return refused(response, "list");
    if (unreadable_.empty()) understand(finish);
  } catch (const Error& error) {
    return {.reason = "broken", .problem = std::string("cannot list pods: ") + error.what()};
  }
  if (!unreadable_.empty()) {
    return {.reason = "unreadable", .problem = "cannot list pods: " + unreadable_};
  }
  parts_.cache.replace(std::move(pods));
  from_quorum_ = false;
  listed_ = true;
  working(false);
  return {};
}

WatchLoop::Outcome WatchLoop::watch() {
  std::uniform_int_distribution<int> seconds(300, 600);
  const std::string parameters =
      "&watch=true&allowWatchBookmarks=true&resourceVersion=" + ApiServer::escape(version_) +
      "&timeoutSeconds=" + std::to_string(seconds(random_));
  const ApiServer::Patience patience{.answer = parts_.times.answer,
                                     .silence = parts_.times.watch_silence};
  LineReader lines(item_limit);
  const auto take = [&](std::string_view chunk) {
    if (chunk.empty()) working(false);
    return understand(
        [&] { return lines.feed(chunk, [&](std::string_view line) { return take_line(line); }); });
  };
  begin();
  const auto start = Clock::now();
  Outcome outcome;
  try {
    outcome = end_of_watch(parts_.server.stream(path(parameters), patience, take, stop_));
  } catch (const Error& error) {
    outcome.reason = "broken";
    // A stream that breaks is life. If it cannot be made again, that is said.
    if (!heard_) outcome.problem = std::string("cannot watch pods: ") + error.what();
  }
  if (told_ || Clock::now() - start > steady_after) backoff_.reset();
  return outcome;
}

WatchLoop::Outcome WatchLoop::end_of_watch(const ApiResponse& response) {
  if (response.status == http::gone || is_gone(error_)) {
    list_again();
    return {.reason = "gone"};
  }
  if (response.status != http::ok) return refused(response, "watch");
  if (!unreadable_.empty()) {
    return {
        .reason = "unreadable", .problem = "cannot watch pods: " + unreadable_, .suspect = true};
  }
  if (!error_.is_null()) {
    return {.reason = "error",
            .problem = "the watch of pods ends with an error: " +
                       quote(string_of(member(error_, "message"))),
            .suspect = true};
  }
  const bool silent = heard_ && Clock::now() - *heard_ >= parts_.times.watch_silence;
  return {.reason = silent ? "silence" : "ended"};
}

// Whether to go on. An event is applied before its version counts.
bool WatchLoop::take_line(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return true;
  const Json event = parse_watch_event(line);
  const std::string type = string_of(member(event, "type"));
  const Json& object = member(event, "object");
  if (type == "ERROR") {
    error_ = object.is_object() ? object : Json::object();
    return false;
  }
  if (type == "ADDED" || type == "MODIFIED" || type == "DELETED") {
    std::string version = version_of(object);
    apply(type, object);
    version_ = std::move(version);
  } else if (type == "BOOKMARK") {
    version_ = version_of(object);
  } else {
    throw Error("an event of the watch is of type " + quote(type));
  }
  told_ = true;
  strikes_ = 0;
  working(true);
  return !stop_();
}

void WatchLoop::apply(const std::string& type, const Json& pod) {
  try {
    std::optional<PodRecord> record = record_of(pod);
    if (!record) return;
    if (type == "DELETED") {
      parts_.cache.erase(record->name_space, record->name, record->uid);
    } else {
      parts_.cache.put(std::move(*record));
    }
  } catch (const Error& error) {
    not_readable(error);
  }
}

// Nothing for a pod of another node, which a server may send that does not know the selector.
std::optional<PodRecord> WatchLoop::record_of(const Json& pod) {
  if (node_of(pod) != parts_.node) return std::nullopt;
  return read_pod_record(pod);
}

// One pod that cannot be read must not cost the others their watch.
void WatchLoop::not_readable(const Error& error) {
  if (last_unreadable_ == error.what()) return;
  last_unreadable_ = error.what();
  say(cni::LogLevel::warn, "a pod is left out: " + last_unreadable_);
}

WatchLoop::Outcome WatchLoop::refused(const ApiResponse& response, const char* verb) {
  const long status = response.status;
  const bool not_allowed = status == http::unauthorized || status == http::forbidden;
  // What else the client is blamed for may be the version that it asked for.
  const bool blamed =
      status >= 400 && status < 500 && !not_allowed && status != 408 && status != 429;
  return {.reason = not_allowed ? "refused" : "status",
          .problem = std::string("cannot ") + verb + " pods: the API server answers " +
                     std::to_string(status) + " " + api_message(response),
          .suspect = blamed,
          .retry_after = response.retry_after};
}

void WatchLoop::list_again() {
  version_.clear();
  from_quorum_ = true;
  strikes_ = 0;
}

void WatchLoop::settle(const Outcome& outcome) {
  if (outcome.suspect && ++strikes_ >= strike_limit) list_again();
  if (!outcome.problem.empty()) {
    failing(outcome);
  } else {
    say(cni::LogLevel::debug, std::string("the watch begins again: ") + outcome.reason);
  }
  if (parts_.hooks.on_restart) parts_.hooks.on_restart(outcome.reason);
}

void WatchLoop::failing(const Outcome& outcome) {
  const std::string pods = std::to_string(parts_.cache.size()) + " pods known, but ";
  parts_.health.set("watch", listed_, (listed_ ? pods : "") + outcome.problem);
  suspect_ = suspect_ || outcome.suspect;
  if (failing_since_) return;
  failing_since_ = Clock::now();
  say(cni::LogLevel::warn, outcome.problem + "; this is tried again until it works");
}

// `told`: an event was understood.
void WatchLoop::working(bool told) {
  if (suspect_ && !told) return;
  suspect_ = false;
  if (failing_since_) {
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - *failing_since_);
    say(cni::LogLevel::info,
        "pods are watched again after " + std::to_string(seconds.count()) + " s");
    failing_since_.reset();
  } else if (told) {
    return;
  }
  parts_.health.set("watch", true, std::to_string(parts_.cache.size()) + " pods");
}

void WatchLoop::say(cni::LogLevel level, const std::string& text) const {
  if (parts_.log) parts_.log(level, "watch", text);
}

}  // namespace sluice::agent

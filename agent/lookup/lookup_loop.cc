// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/lookup/lookup_loop.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>
#include <variant>
#include <vector>

#include "agent/lookup/listener.h"
#include "cni/json.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t clients_limit = 256;
// A peer that has connected is given this long before it makes room for another.
constexpr auto eviction_age = std::chrono::seconds(1);
constexpr auto accept_pause = milliseconds(100);
// For those who had connected when the agent was told to stop, and for those who were about to.
constexpr auto farewell = milliseconds(250);
constexpr auto shortest_farewell = milliseconds(50);
constexpr auto look_interval = std::chrono::seconds(2);
// The plugin's own clock started before its packet was read.
constexpr std::uint32_t answer_margin_ms = 50;

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

std::string name_of(const PodQuestion& question) {
  return question.name_space + "/" + question.name;
}

milliseconds patience_of(const cni::LookupMessage& message, std::uint32_t limit_ms) {
  std::uint32_t wanted = message.deadline_ms;
  if (wanted == 0) return milliseconds(limit_ms);
  wanted = wanted > 2 * answer_margin_ms ? wanted - answer_margin_ms : wanted / 2;
  return milliseconds(std::min(wanted, limit_ms));
}

// The annotations are most of a Pod.
std::string print_pod(const PodRecord& pod, bool annotations_known) {
  cni::Json object = cni::parse_json(pod.object, "the cached Pod");
  if (annotations_known && object.contains("metadata") && object["metadata"].is_object()) {
    object["metadata"].erase("annotations");
  }
  return cni::print_answer({.pod = std::move(object)});
}

}  // namespace

LookupLoop::LookupLoop(const LookupConfig& config, const ApiConfig& api, PodCache& cache,
                       Health& health, const Log& log, const LookupHooks& hooks)
    : config_(config),
      cache_(cache),
      health_(health),
      log_(log),
      hooks_(hooks),
      fetcher_(api, config.node),
      report_log_(log),
      listener_(listen_at(config.socket)) {}

void LookupLoop::complain(cni::LogLevel level, const std::string& text) {
  if (complaints_.admit(now_)) log_(level, "lookup", printable(text));
}

// ---- the loop

bool LookupLoop::is_done(bool stop_asked) {
  if (!stop_asked) return false;
  if (stop_at_ == Clock::time_point::max()) stop_at_ = now_ + farewell;
  const auto left = stop_at_ - now_;
  return left <= milliseconds(0) || (clients_.empty() && left <= farewell - shortest_farewell);
}

LookupLoop::Clock::time_point LookupLoop::next_event() const {
  Clock::time_point next = std::min(next_look_, stop_at_);
  if (clients_.empty()) next = std::min(next, stop_at_ - (farewell - shortest_farewell));
  if (accept_again_ > now_) next = std::min(next, accept_again_);
  if (report_log_.waits_to_tell()) next = std::min(next, now_ + std::chrono::seconds(1));
  for (const Client& client : clients_) next = std::min(next, client.end());
  return next;
}

// stop_fd, the listener and the fetcher, then the clients in their order.
std::vector<pollfd> LookupLoop::polled(int stop_fd) const {
  const bool stopping = stop_at_ != Clock::time_point::max();
  std::vector<pollfd> polled{
      {.fd = stopping ? -1 : stop_fd, .events = POLLIN, .revents = 0},
      {.fd = accept_again_ > now_ ? -1 : listener_.get(), .events = POLLIN, .revents = 0},
      {.fd = fetcher_.ready_fd(), .events = POLLIN, .revents = 0}};
  for (const Client& client : clients_) {
    polled.push_back({.fd = client.fd(), .events = client.events(), .revents = 0});
  }
  return polled;
}

void LookupLoop::run(int stop_fd) {
  bool stop_asked = false;
  while (!is_done(stop_asked)) {
    health_.turned("lookup");
    if (now_ >= next_look_) look_after_socket();
    std::vector<pollfd> fds = polled(stop_fd);
    const auto left = std::chrono::ceil<milliseconds>(next_event() - now_).count();
    const int timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
    if (poll(fds.data(), fds.size(), timeout) < 0 && errno != EINTR) {
      throw Error(errno, "poll the agent's connections");
    }
    now_ = Clock::now();
    std::size_t index = 3;
    for (Client& client : clients_) serve(client, fds[index++].revents);
    if (fds[2].revents != 0) take_answers();
    if (fds[1].revents != 0) accept_all();
    serve_all();
    stop_asked = stop_asked || fds[0].revents != 0;
  }
}

// What time brings.
void LookupLoop::serve_all() {
  report_log_.tell_dropped(now_);
  for (Client& client : clients_) {
    if (now_ >= client.end()) end_late(client);
  }
  clients_.remove_if([](const Client& client) { return client.over; });
}

void LookupLoop::end_late(Client& client) {
  if (client.waiting) {
    refuse(client, api_too_late);
  } else {
    client.over = true;
  }
}

// Somebody may have cleaned up /run. A file that is there is ours or our successor's.
void LookupLoop::look_after_socket() {
  next_look_ = now_ + look_interval;
  if (access(config_.socket.c_str(), F_OK) == 0 || errno != ENOENT) {
    health_.set("lookup", true, "listens at " + config_.socket);
    return;
  }
  try {
    accept_all();
    listener_ = listen_at(config_.socket);
    complain(cni::LogLevel::warn,
             "the socket " + quote(config_.socket) + " was removed by somebody and is made anew");
    health_.set("lookup", true, "listens at " + config_.socket);
  } catch (const Error& error) {
    complain(cni::LogLevel::error, error.what());
    health_.set("lookup", false, error.what());
  }
}

// ---- connections

void LookupLoop::accept_all() {
  try {
    while (make_room()) {
      kernel::Fd fd = accept_from(listener_.get());
      if (!fd) return;
      welcome(std::move(fd));
    }
  } catch (const Error& error) {
    complain(cni::LogLevel::error, error.what());
  }
  accept_again_ = now_ + accept_pause;
}

// Whether there is room for one more. One that has been answered goes first.
bool LookupLoop::make_room() {
  if (clients_.size() < clients_limit) return true;
  const auto served = std::find_if(clients_.begin(), clients_.end(),
                                   [](const Client& client) { return client.is_served(); });
  if (served != clients_.end()) {
    clients_.erase(served);
    return true;
  }
  const auto oldest =
      std::min_element(clients_.begin(), clients_.end(), [](const Client& a, const Client& b) {
        return std::pair(!a.is_idle(), a.active()) < std::pair(!b.is_idle(), b.active());
      });
  if (!oldest->is_idle() || now_ - oldest->active() < eviction_age) return false;
  clients_.erase(oldest);
  return true;
}

void LookupLoop::welcome(kernel::Fd fd) {
  const long uid = peer_uid(fd.get());
  if (uid != static_cast<long>(config_.peer_uid)) {
    complain(cni::LogLevel::warn, "a process of UID " + std::to_string(uid) +
                                      " connected to the agent's socket and is not answered");
    return;
  }
  // Its question is there already, more often than not.
  receive(clients_.emplace_back(std::move(fd), now_));
}

void LookupLoop::serve(Client& client, short events) {
  if (events == 0) return;
  client.flush(now_);
  // Whoever hangs up does not wait; what it said before is still to be read.
  if (client.waiting && (events & (POLLHUP | POLLERR)) != 0) client.waiting.reset();
  if (client.reads()) receive(client);
}

void LookupLoop::receive(Client& client) {
  // A few at a time: the others wait too.
  for (int packets = 0; packets < 8 && client.reads(); ++packets) {
    switch (buffer_.receive(client.fd())) {
      case PacketBuffer::Got::nothing:
        return;
      case PacketBuffer::Got::end:
        client.over = true;
        return;
      case PacketBuffer::Got::too_large:
        complain(cni::LogLevel::debug, "a packet that is too large is dropped");
        client.over = true;
        return;
      case PacketBuffer::Got::packet:
        client.touch(now_);
        handle(client, buffer_.text());
        break;
    }
  }
}

void LookupLoop::handle(Client& client, std::string_view packet) {
  try {
    const cni::AgentRequest request = cni::parse_agent_request(packet);
    std::visit(Overloaded{[&](const cni::LookupMessage& lookup) { look_up(client, lookup); },
                          [&](const cni::ReportMessage& report) { take_report(report); },
                          [&](const cni::StatusMessage&) { answer_status(client); }},
               request);
  } catch (const std::exception& error) {
    complain(cni::LogLevel::debug, std::string("a packet is dropped: ") + error.what());
    client.over = true;
  }
}

// ---- messages

void LookupLoop::look_up(Client& client, const cni::LookupMessage& message) {
  const cni::Sandbox& sandbox = message.sandbox;
  client.waiting = {
      .question = {.name_space = sandbox.name_space, .name = sandbox.name, .uid = sandbox.uid},
      .annotations_known = message.annotations_known,
      .asked = now_,
      .end = now_ + patience_of(message, config_.deadline_ms)};
  const PodQuestion& question = client.waiting->question;
  if (!names_a_pod(question)) {
    return refuse(client, "namespace " + quote(question.name_space) + " and name " +
                              quote(question.name) + " are no pod's");
  }
  if (hooks_.on_sandbox && !sandbox.netns.empty()) hooks_.on_sandbox(sandbox);
  const std::optional<PodRecord> known = cache_.find(question.name_space, question.name);
  if (known && known->is(question.uid)) return answer(client, *known, "cache");
  if (under_way_.insert(question).second) fetcher_.ask(question, client.waiting->end);
}

void LookupLoop::take_report(const cni::ReportMessage& report) {
  if (hooks_.on_sandbox && report.command == "ADD" && !report.sandbox.netns.empty()) {
    hooks_.on_sandbox(report.sandbox);
  }
  if (hooks_.on_report) hooks_.on_report(report);
  report_log_.pass_on(report, now_);
}

void LookupLoop::answer_status(Client& client) {
  constexpr std::size_t chunk = std::size_t{64} * 1024;
  const std::string text = hooks_.status ? hooks_.status() : "{}";
  for (std::size_t at = 0; at < text.size(); at += chunk) {
    client.send(text.substr(at, chunk), now_);
  }
  client.send("", now_);
}

void LookupLoop::take_answers() {
  for (PodFetcher::Answer& asked : fetcher_.take_answers()) {
    under_way_.erase(asked.question);
    std::optional<PodRecord>& pod = asked.found.pod;
    if (pod) pod = cache_.add(std::move(*pod));
    for (Client& client : clients_) {
      if (!client.waiting || client.waiting->question != asked.question) continue;
      if (pod) {
        answer(client, *pod, "api");
      } else {
        refuse(client, asked.found.unknown);
      }
    }
  }
}

void LookupLoop::answer(Client& client, const PodRecord& pod, const char* source) {
  const Client::Waiting question = *std::exchange(client.waiting, std::nullopt);
  client.send(print_pod(pod, question.annotations_known), now_);
  const std::chrono::duration<double> took = Clock::now() - question.asked;
  if (hooks_.on_lookup) hooks_.on_lookup(source, took.count());
}

void LookupLoop::refuse(Client& client, const std::string& unknown) {
  const Client::Waiting question = *std::exchange(client.waiting, std::nullopt);
  client.send(cni::print_answer({.unknown = unknown}), now_);
  const std::chrono::duration<double> took = Clock::now() - question.asked;
  if (hooks_.on_lookup) hooks_.on_lookup("none", took.count());
  complain(cni::LogLevel::warn, name_of(question.question) + " is not known: " + unknown);
}

}  // namespace sluice::agent

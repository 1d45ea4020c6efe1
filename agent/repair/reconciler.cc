// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/reconciler.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "agent/repair/action_queue.h"
#include "agent/repair/pod_repair.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

using Key = std::pair<std::string, std::string>;

constexpr std::chrono::milliseconds stop_interval{200};
// What comes in between is taken together.
constexpr std::chrono::milliseconds gathering{10};
// Of looks at one pod that are only asked for by its events.
constexpr std::chrono::seconds look_interval{1};
// The plugin that has just been told about a pod should be done by then.
constexpr std::chrono::milliseconds plugin_time{500};
// Sandboxes of pods that the watch does not know (yet) are remembered for so long.
constexpr std::chrono::minutes memory{10};
constexpr std::size_t most_sandboxes = 4096;

struct ModeName {
  RepairMode mode;
  const char* name;
  const char* former;  // Istio's
};
constexpr std::array<ModeName, 5> modes{{{RepairMode::off, "off", "off"},
                                         {RepairMode::report, "report", "report"},
                                         {RepairMode::repair, "repair", "repairPods"},
                                         {RepairMode::label, "label", "labelPods"},
                                         {RepairMode::remove, "delete", "deletePods"}}};

// What the other threads ask for, until run() takes it up.
struct Request {
  std::string uid = {};  // of the pod that was notified
  bool notified = false;
  Clock::time_point sandbox_due = never;
};

struct Told {
  std::string uid = {};
  std::string netns = {};
  Clock::time_point at = {};
};

bool is_watched(const PodRecord& pod) {
  return !pod.host_network && !pod.finished;
}

Key key_of(const PodRecord& pod) {
  return {pod.name_space, pod.name};
}

}  // namespace

RepairMode parse_repair_mode(const std::string& text) {
  for (const ModeName& known : modes) {
    if (text == known.name || text == known.former) return known.mode;
  }
  throw Error("repair mode " + quote(text) +
              " is not one of report, repair, label, delete, off, repairPods, labelPods, "
              "deletePods");
}

const char* to_string(RepairMode mode) {
  for (const ModeName& known : modes) {
    if (known.mode == mode) return known.name;
  }
  return "";
}

struct Reconciler::State {
  State(RepairConfig repair_config, cni::PluginConfig plugin_config, PodCache& pod_cache,
        OpenNamespace open, std::unique_ptr<PodActions> actions, Log log_to,
        RepairHooks repair_hooks)
      : config(std::move(repair_config)),
        plugin(std::move(plugin_config)),
        cache(pod_cache),
        log(std::move(log_to)),
        hooks(std::move(repair_hooks)),
        namespaces(config.proc, config.netns_dirs, std::move(open)),
        queue(std::move(actions), log,
              [this](ActionOutcome outcome) { ended(std::move(outcome)); }),
        repair(config, plugin, namespaces, queue, log, hooks) {}

  void ended(ActionOutcome outcome);
  void take_requests();
  void take_outcomes();
  void pass(Clock::time_point now);
  std::optional<Key> next_due(Clock::time_point now) const;
  Clock::time_point earliest() const;
  std::string told_path(const PodRecord& pod);
  void look(const Key& key);
  void publish(const Key& key, const PodState& pod);
  void forget(const Key& key);
  void loop(const std::function<bool()>& stop);
  void wait(Clock::time_point until);

  const RepairConfig config;
  const cni::PluginConfig plugin;
  PodCache& cache;
  const Log log;
  const RepairHooks hooks;

  std::mutex mutex;
  std::condition_variable changed;
  std::map<Key, Request> requests;
  std::map<Key, Told> sandboxes;
  std::vector<ActionOutcome> outcomes;
  std::map<Key, PodState> states;

  // Of run() alone.
  PodNamespaces namespaces;
  ActionQueue queue;
  PodRepair repair;
  std::map<Key, PodEntry> entries;
  Clock::time_point next_pass = {};
  bool host_told = false;  // that it cannot be told
};

void Reconciler::State::ended(ActionOutcome outcome) {
  const std::lock_guard lock(mutex);
  outcomes.push_back(std::move(outcome));
  changed.notify_one();
}

void Reconciler::State::take_requests() {
  std::map<Key, Request> taken;
  {
    const std::lock_guard lock(mutex);
    taken.swap(requests);
  }
  const Clock::time_point now = Clock::now();
  for (const auto& [key, request] : taken) {
    PodEntry& entry = entries[key];
    if (request.notified) {
      if (entry.state.uid != request.uid) entry = {.state = {.uid = request.uid}};
      const bool is_new = entry.looked == Clock::time_point();
      entry.notified = std::min(entry.notified, is_new ? now : entry.looked + look_interval);
    }
    entry.due = std::min(entry.due, request.sandbox_due);
  }
}

void Reconciler::State::take_outcomes() {
  std::vector<ActionOutcome> taken;
  {
    const std::lock_guard lock(mutex);
    taken.swap(outcomes);
  }
  for (const ActionOutcome& outcome : taken) {
    const auto found = entries.find(key_of(outcome.pod));
    if (found == entries.end() || found->second.state.uid != outcome.pod.uid) continue;
    repair.end_action(outcome, found->second);
  }
}

// All pods become due, and all namespaces are looked into once for all of them.
void Reconciler::State::pass(Clock::time_point now) {
  next_pass = now + std::chrono::seconds(std::max<std::uint32_t>(config.interval_seconds, 1));
  namespaces.scan();
  if (!namespaces.knows_host() && !std::exchange(host_told, true)) {
    log(cni::LogLevel::warn, "repair",
        "the host's own network namespace cannot be told by " + quote(config.proc + "/1/ns/net") +
            ": only the runtimes' files lead to pods, no process does");
  }
  std::map<Key, std::string> known;
  for (const PodRecord& pod : cache.all()) {
    if (is_watched(pod)) known.emplace(key_of(pod), pod.uid);
  }
  for (const auto& [key, uid] : known) {
    PodEntry& entry = entries[key];
    if (entry.state.uid != uid) entry = {.state = {.uid = uid}};
    entry.due = std::min(entry.due, now);
  }
  const std::lock_guard lock(mutex);
  std::erase_if(sandboxes, [&](const auto& told) {
    return !known.contains(told.first) && now - told.second.at > memory;
  });
}

// New pods before those that were looked at already.
std::optional<Key> Reconciler::State::next_due(Clock::time_point now) const {
  std::optional<Key> best;
  std::pair<Clock::time_point, Clock::time_point> best_times;
  for (const auto& [key, entry] : entries) {
    const Clock::time_point due = std::min(entry.due, entry.notified);
    if (due > now) continue;
    const std::pair times(entry.looked, due);
    if (!best || times < best_times) {
      best = key;
      best_times = times;
    }
  }
  return best;
}

Clock::time_point Reconciler::State::earliest() const {
  Clock::time_point first = next_pass;
  for (const auto& [key, entry] : entries) {
    first = std::min({first, entry.due, entry.notified});
  }
  return first;
}

std::string Reconciler::State::told_path(const PodRecord& pod) {
  const std::lock_guard lock(mutex);
  const auto found = sandboxes.find(key_of(pod));
  return found != sandboxes.end() && pod.is(found->second.uid) ? found->second.netns : "";
}

void Reconciler::State::publish(const Key& key, const PodState& pod) {
  const std::lock_guard lock(mutex);
  states[key] = pod;
}

void Reconciler::State::forget(const Key& key) {
  entries.erase(key);
  const std::lock_guard lock(mutex);
  states.erase(key);
}

void Reconciler::State::look(const Key& key) {
  const std::optional<PodRecord> pod = cache.find(key.first, key.second);
  if (!pod || !is_watched(*pod)) return forget(key);
  PodEntry& entry = entries[key];
  if (entry.state.uid != pod->uid) entry = {};
  entry.state.name_space = pod->name_space;
  entry.state.name = pod->name;
  entry.state.uid = pod->uid;
  repair.look(*pod, told_path(*pod), entry);
  publish(key, entry.state);
}

void Reconciler::State::wait(Clock::time_point until) {
  std::unique_lock lock(mutex);
  changed.wait_until(lock, until, [&] { return !requests.empty() || !outcomes.empty(); });
}

void Reconciler::State::loop(const std::function<bool()>& stop) {
  while (!stop()) {
    take_requests();
    take_outcomes();
    const Clock::time_point now = Clock::now();
    if (now >= next_pass) pass(now);
    if (const std::optional<Key> key = next_due(now)) {
      look(*key);
      continue;
    }
    wait(std::min(earliest(), now + stop_interval));
    std::this_thread::sleep_for(std::min<Clock::duration>(
        gathering, std::max<Clock::duration>(earliest() - Clock::now(), Clock::duration::zero())));
  }
}

Reconciler::Reconciler(RepairConfig config, cni::PluginConfig plugin, PodCache& cache,
                       OpenNamespace open_namespace, std::unique_ptr<PodActions> actions, Log log,
                       RepairHooks hooks) {
  const bool acts = config.mode == RepairMode::label || config.mode == RepairMode::remove;
  if (acts && !actions) {
    throw Error(std::string("repair mode ") + to_string(config.mode) +
                " is of no use without the API server");
  }
  state_ = std::make_unique<State>(std::move(config), std::move(plugin), cache,
                                   std::move(open_namespace), std::move(actions), std::move(log),
                                   std::move(hooks));
}

Reconciler::~Reconciler() = default;

void Reconciler::notify(const PodRecord& pod) {
  if (state_->config.mode == RepairMode::off) return;
  const std::lock_guard lock(state_->mutex);
  Request& request = state_->requests[key_of(pod)];
  if (request.notified && request.uid == pod.uid) return;
  request.notified = true;
  request.uid = pod.uid;
  state_->changed.notify_one();
}

void Reconciler::remember(const cni::Sandbox& sandbox) {
  if (state_->config.mode == RepairMode::off || sandbox.netns.empty()) return;
  const Key key(sandbox.name_space, sandbox.name);
  const Clock::time_point now = Clock::now();
  const std::lock_guard lock(state_->mutex);
  if (state_->sandboxes.size() >= most_sandboxes && !state_->sandboxes.contains(key)) return;
  state_->sandboxes[key] = {.uid = sandbox.uid, .netns = sandbox.netns, .at = now};
  state_->requests[key].sandbox_due = now + plugin_time;
  state_->changed.notify_one();
}

void Reconciler::run(const std::function<bool()>& stop) {
  if (state_->config.mode == RepairMode::off) {
    while (!stop()) std::this_thread::sleep_for(stop_interval);
    return;
  }
  // Also where loop() throws.
  struct Worker {
    explicit Worker(ActionQueue& actions) : queue(actions), thread([&] { queue.run(); }) {}
    Worker(const Worker&) = delete;
    Worker(Worker&&) = delete;
    Worker& operator=(const Worker&) = delete;
    Worker& operator=(Worker&&) = delete;
    ~Worker() {
      queue.stop();
      thread.join();
    }
    ActionQueue& queue;
    std::thread thread;
  };
  const Worker worker(state_->queue);
  state_->loop(stop);
}

std::vector<PodState> Reconciler::states() const {
  std::vector<PodState> all;
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& [key, pod] : state_->states) all.push_back(pod);
  }
  std::erase_if(all, [&](const PodState& known) {
    const std::optional<PodRecord> pod = state_->cache.find(known.name_space, known.name);
    return !pod || pod->uid != known.uid || !is_watched(*pod);
  });
  return all;
}

}  // namespace sluice::agent

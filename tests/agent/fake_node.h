// SPDX-License-Identifier: GPL-2.0-or-later
// A node in memory: files stand for network namespaces, what is in them is made up, and so is the
// API server. Safe to look at while a reconciler runs on another thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/kube/pod_actions.h"
#include "agent/repair/reconciler.h"
#include "rules/error.h"
#include "tests/fake_backend.h"

namespace sluice::agent {

// Waits at most a minute: the sanitizers are slow, and so is a machine that others use.
inline bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (std::chrono::steady_clock::now() < deadline) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

// What the API server was asked for.
class ActionLog {
 public:
  struct Event {
    std::string pod, type, reason, message;
  };

  std::vector<Event> events(const std::string& reason = {}) const {
    const std::lock_guard lock(mutex_);
    std::vector<Event> found;
    for (const Event& event : events_) {
      if (reason.empty() || event.reason == reason) found.push_back(event);
    }
    return found;
  }
  std::vector<std::string> removed() const {
    const std::lock_guard lock(mutex_);
    return removed_;
  }
  std::vector<std::string> labels() const {
    const std::lock_guard lock(mutex_);
    return labels_;
  }
  std::size_t asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  // The next so many requests are refused.
  void refuse(std::size_t count) {
    const std::lock_guard lock(mutex_);
    refusals_ = count;
  }
  // Requests wait until let_go().
  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void let_go() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }

  void add(Event event) {
    std::unique_lock lock(mutex_);
    enter(lock);
    events_.push_back(std::move(event));
  }
  void remove(const std::string& uid) {
    std::unique_lock lock(mutex_);
    enter(lock);
    removed_.push_back(uid);
  }
  void label(const std::string& text) {
    std::unique_lock lock(mutex_);
    enter(lock);
    labels_.push_back(text);
  }

 private:
  void enter(std::unique_lock<std::mutex>& lock) {
    ++asked_;
    changed_.wait(lock, [&] { return !held_; });
    if (refusals_ == 0) return;
    --refusals_;
    throw Error("the API server says no");
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  std::size_t asked_ = 0;
  std::size_t refusals_ = 0;
  std::vector<Event> events_;
  std::vector<std::string> removed_;
  std::vector<std::string> labels_;
};

class FakeActions : public PodActions {
 public:
  explicit FakeActions(ActionLog& log) : log_(log) {}

  void event(const PodRecord& pod, const std::string& type, const std::string& reason,
             const std::string& message) override {
    log_.add({.pod = pod.name, .type = type, .reason = reason, .message = message});
  }
  void remove(const PodRecord& pod) override { log_.remove(pod.uid); }
  void label(const PodRecord& pod, const std::string& key, const std::string& value) override {
    log_.label(pod.name + " " + key + "=" + value);
  }
  bool remove_taints(const std::vector<std::string>& /*keys*/) override {
    throw std::logic_error("repair has nothing to do with taints");
  }

 private:
  ActionLog& log_;
};

// A folder that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "sluice-agent-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder(TemporaryFolder&&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, const std::string& text = {}) const {
    const std::filesystem::path path = path_ + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }

 private:
  std::string path_;
};

class FakeNode {
 public:
  FakeNode() {
    folder_.write("proc/1/ns/net");
    std::filesystem::create_directories(folder_ / "netns");
  }

  std::string proc() const { return folder_ / "proc"; }
  std::string netns_dir() const { return folder_ / "netns"; }
  const TemporaryFolder& folder() const { return folder_; }

  // A namespace with a file of the runtime, holding `address` on eth0.
  FakePod& add(const std::string& name, const std::string& address) {
    return add_at("netns/" + name, address);
  }
  // One that only processes are in: of pid, and so that others may be put into it.
  FakePod& add_process(const std::string& pid, const std::string& address) {
    return add_at("proc/" + pid + "/ns/net", address);
  }
  FakePod& add_at(const std::string& file, const std::string& address) {
    const std::string path = folder_.write(file);
    const std::lock_guard lock(mutex_);
    FakePod& pod = *(pods_[netns_id(path).value()] = std::make_unique<FakePod>());
    pod.links.at(1).addresses = {parse_address(address)};
    return pod;
  }
  // Another process in the namespace of that file.
  void enter(const std::string& pid, const std::string& file) const {
    std::filesystem::create_directories(folder_ / ("proc/" + pid + "/ns"));
    std::filesystem::create_hard_link(folder_ / file, folder_ / ("proc/" + pid + "/ns/net"));
  }

  OpenedNamespace open(const std::string& path) {
    const std::lock_guard lock(mutex_);
    opened_.push_back(path);
    const auto id = netns_id(path);
    const auto found = id ? pods_.find(*id) : pods_.end();
    if (found == pods_.end()) return NotNetns{.absent = !id, .reason = "is no network namespace"};
    return std::make_unique<Namespace>(*this, *found->second);
  }
  OpenNamespace opener() {
    return [this](const std::string& path) { return open(path); };
  }

  std::vector<std::string> opened() const {
    const std::lock_guard lock(mutex_);
    return opened_;
  }
  // What is asked of a pod while the reconciler may be at work.
  template <class Action>
  auto with(FakePod& pod, const Action& action) {
    const std::lock_guard lock(mutex_);
    return action(pod);
  }
  std::size_t calls(FakePod& pod, const std::string& name) {
    return with(pod, [&](FakePod& p) {
      return static_cast<std::size_t>(
          std::count(p.calls.names().begin(), p.calls.names().end(), name));
    });
  }
  // Called after each read, in the place of whoever changes rules at that time.
  std::function<void(FakePod&)> after_read;

 private:
  class LockedBackend : public Backend {
   public:
    LockedBackend(FakeNode& node, FakePod& pod) : node_(node), pod_(pod) {}
    const char* name() const override { return pod_.backend.name(); }
    std::string reason() const override { return pod_.backend.reason(); }
    Notices apply(const Interception& wanted) override {
      const std::lock_guard lock(node_.mutex_);
      return pod_.backend.apply(wanted);
    }
    Notices remove() override {
      const std::lock_guard lock(node_.mutex_);
      return pod_.backend.remove();
    }
    Interception read() override {
      const std::lock_guard lock(node_.mutex_);
      Interception live = pod_.backend.read();
      if (node_.after_read) node_.after_read(pod_);
      return live;
    }

   private:
    FakeNode& node_;
    FakePod& pod_;
  };

  class Namespace : public PodNamespace {
   public:
    Namespace(FakeNode& node, FakePod& pod) : node_(node), fake_(pod), backend_(node, pod) {}
    bool is_own() override {
      const std::lock_guard lock(node_.mutex_);
      return fake_.is_own();
    }
    std::vector<Link> links() override {
      const std::lock_guard lock(node_.mutex_);
      return fake_.links();
    }
    std::optional<Link> link(const std::string& name) override {
      const std::lock_guard lock(node_.mutex_);
      return fake_.link(name);
    }
    bool loopback_has_ipv6() override {
      const std::lock_guard lock(node_.mutex_);
      return fake_.loopback_has_ipv6();
    }
    Backend& backend(const BackendSettings& settings) override {
      const std::lock_guard lock(node_.mutex_);
      fake_.backend(settings);
      return backend_;
    }

   private:
    FakeNode& node_;
    FakeNamespace fake_;
    LockedBackend backend_;
  };

  TemporaryFolder folder_;
  mutable std::mutex mutex_;
  std::map<NetnsId, std::unique_ptr<FakePod>> pods_;
  std::vector<std::string> opened_;
};

// A pod that the injector has been at; `annotations` is the inside of a JSON object.
inline PodRecord injected(const std::string& name, const std::string& address,
                          const std::string& annotations = {}) {
  PodRecord pod{.name_space = "demo", .name = name, .uid = "uid-of-" + name};
  if (!address.empty()) pod.addresses = {parse_address(address)};
  pod.object = R"({"kind":"Pod","metadata":{"name":")" + name +
               R"(","namespace":"demo","annotations":{"sidecar.istio.io/status":"{}")" +
               (annotations.empty() ? "" : "," + annotations) +
               R"(}},"spec":{"containers":[{"name":"app"},{"name":"istio-proxy"}]}})";
  return pod;
}

// A reconciler at work.
class RunningReconciler {
 public:
  explicit RunningReconciler(FakeNode& node, RepairConfig config = {},
                             const cni::PluginConfig& plugin = {})
      : RunningReconciler(node.opener(), at(node, std::move(config)), plugin) {}
  RunningReconciler(OpenNamespace open, RepairConfig config, const cni::PluginConfig& plugin)
      : reconciler_(std::move(config), plugin, cache, std::move(open),
                    std::make_unique<FakeActions>(actions),
                    [this](cni::LogLevel, const char*, const std::string& text) {
                      const std::lock_guard lock(mutex_);
                      log_.push_back(text);
                    },
                    {.on_action =
                         [this](const char* mode, const char* result) {
                           const std::lock_guard lock(mutex_);
                           done_.push_back(std::string(mode) + " " + result);
                         },
                     .on_drift =
                         [this](const PodState& state) {
                           const std::lock_guard lock(mutex_);
                           drifts_.push_back(state);
                         }}) {
    cache.on_change([this](const PodRecord& pod) { reconciler_.notify(pod); });
  }
  RunningReconciler(const RunningReconciler&) = delete;
  RunningReconciler(RunningReconciler&&) = delete;
  RunningReconciler& operator=(const RunningReconciler&) = delete;
  RunningReconciler& operator=(RunningReconciler&&) = delete;
  ~RunningReconciler() { stop(); }

  void start() {
    thread_ = std::thread([this] { reconciler_.run([this] { return stopping_.load(); }); });
  }
  void stop() {
    stopping_ = true;
    actions.let_go();
    if (thread_.joinable()) thread_.join();
  }

  Reconciler& reconciler() { return reconciler_; }
  const Reconciler& reconciler() const { return reconciler_; }
  PodState state(const std::string& name) const {
    for (const PodState& pod : reconciler_.states()) {
      if (pod.name == name) return pod;
    }
    return {};
  }
  bool becomes(const std::string& name, PodCondition condition) const {
    return eventually([&] {
      const PodState pod = state(name);
      return pod.name == name && pod.condition == condition;
    });
  }
  std::vector<std::string> done() const {
    const std::lock_guard lock(mutex_);
    return done_;
  }
  std::vector<PodState> drifts() const {
    const std::lock_guard lock(mutex_);
    return drifts_;
  }
  std::vector<std::string> log() const {
    const std::lock_guard lock(mutex_);
    return log_;
  }

  PodCache cache;
  ActionLog actions;

 private:
  static RepairConfig at(const FakeNode& node, RepairConfig config) {
    config.proc = node.proc();
    config.netns_dirs = {node.netns_dir()};
    return config;
  }

  mutable std::mutex mutex_;
  std::vector<std::string> log_;
  std::vector<std::string> done_;
  std::vector<PodState> drifts_;
  std::atomic<bool> stopping_ = false;
  Reconciler reconciler_;
  std::thread thread_;
};

}  // namespace sluice::agent

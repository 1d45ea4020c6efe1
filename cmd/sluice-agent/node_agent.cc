// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice-agent/node_agent.h"

#include <malloc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <utility>

#include "agent/kube/pod_actions.h"
#include "agent/kube/pod_watch.h"
#include "agent/lookup/lookup_server.h"
#include "agent/tell/status.h"
#include "cni/version.h"
#include "rules/error.h"
#include "rules/kernel/pod_namespace.h"

namespace sluice::cmd {
namespace {

using agent::RepairMode;
using cni::LogLevel;

constexpr int tick_ms = 1000;
// No loop waits for longer than two minutes. What hangs is ended by the kubelet's liveness probe.
constexpr std::chrono::minutes longest_turn{5};

}  // namespace

NodeAgent::NodeAgent(RunOptions options, agent::Log log)
    : options_(std::move(options)),
      log_(std::move(log)),
      stop_event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!stop_event_) throw Error(errno, "make an eventfd");
  if (options_.repair.mode == RepairMode::off) return;
  reconciler_ = std::make_unique<agent::Reconciler>(
      options_.repair, options_.plugin, cache_, kernel::open_pod_namespace,
      agent::make_pod_actions(options_.api, options_.node), log_,
      agent::RepairHooks{
          .on_action = [this](const char* mode,
                              const char* result) { metrics_.repair(mode, result); },
          .on_drift = [this](const agent::PodState& state) { metrics_.drift(state); }});
  cache_.on_change([this](const agent::PodRecord& pod) { reconciler_->notify(pod); });
}

NodeAgent::~NodeAgent() {
  stop_parts();
}

void NodeAgent::start(const char* name, std::function<void()> body) {
  threads_.emplace_back([this, name, body = std::move(body)] {
    try {
      body();
    } catch (const std::exception& error) {
      log_(LogLevel::error, name, error.what());
      const std::lock_guard lock(mutex_);
      if (!failed_) failed_ = std::current_exception();
    }
  });
}

void NodeAgent::start_parts() {
  if (options_.http_port != 0) serve_http();
  start("lookup", [this] { answer_plugins(); });
  start("install", [this] { keep_installed(); });
  start("watch", [this] { watch_pods(); });
  if (reconciler_) start("repair", [this] { repair_pods(); });
  if (!options_.taints.empty()) start("untaint", [this] { take_taints_off(); });
}

void NodeAgent::stop_parts() {
  stop_ = true;
  const std::uint64_t one = 1;
  if (write(stop_event_.get(), &one, sizeof one) < 0) {
    log_(LogLevel::error, "agent", "could not tell the threads to stop");
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  http_.reset();
}

// Asked by a loop as it turns.
bool NodeAgent::is_to_stop(const char* loop) {
  health_.turned(loop);
  return stopping();
}

void NodeAgent::watch_pods() {
  agent::PodWatch watch(
      options_.api, options_.node, cache_, health_, log_,
      {.on_restart = [this](const std::string& reason) { metrics_.watch_restart(reason); }});
  watch.run([this] { return is_to_stop("watch"); });
}

void NodeAgent::answer_plugins() {
  agent::LookupServer server(
      {.socket = options_.socket,
       .deadline_ms = options_.lookup_deadline_ms,
       .node = options_.node},
      options_.api, cache_, health_, log_,
      {.on_lookup = [this](const char* source,
                           double seconds) { metrics_.lookup(source, seconds); },
       .on_sandbox =
           [this](const cni::Sandbox& sandbox) {
             if (reconciler_) reconciler_->remember(sandbox);
           },
       .on_report = [this](const cni::ReportMessage& report) { metrics_.plugin_report(report); },
       .status = [this] { return status(); }});
  server.run(stop_event_.get());
}

void NodeAgent::keep_installed() {
  agent::InstallLoop loop(
      options_.install, health_, log_,
      {.on_pass =
           [this](const agent::InstallStatus& pass, double seconds) {
             metrics_.install_pass(pass, seconds);
             const std::lock_guard lock(mutex_);
             conf_file_ = pass.file;
           },
       .on_undone = [this](const char* what) { metrics_.install_undone(what); }});
  loop.run(stop_event_.get());
}

void NodeAgent::repair_pods() {
  reconciler_->run([this] { return is_to_stop("repair"); });
}

void NodeAgent::take_taints_off() {
  const std::unique_ptr<agent::PodActions> actions =
      agent::make_pod_actions(options_.api, options_.node);
  bool done = false;
  while (!stopping()) {
    if (!health_.wait(true, tick_ms)) {
      done = false;
      continue;
    }
    if (!done) {
      try {
        if (actions->remove_taints(options_.taints)) {
          log_(LogLevel::info, "untaint", "the node is ready: its taint is taken off");
        }
        done = true;
      } catch (const std::exception& error) {
        log_(LogLevel::warn, "untaint", error.what());
      }
    }
    // A taint that comes back while the node is ready is somebody's wish.
    health_.wait(false, done ? tick_ms : 5 * tick_ms);
  }
}

void NodeAgent::serve_http() {
  std::map<std::string, agent::HttpServer::Handler> handlers;
  handlers["/healthz"] = [this] {
    const std::string stuck = health_.stuck(longest_turn);
    return stuck.empty() ? agent::HttpAnswer{.body = "ok\n"}
                         : agent::HttpAnswer{.status = 503, .body = "stuck: " + stuck + "\n"};
  };
  handlers["/readyz"] = [this] {
    return agent::HttpAnswer{.status = health_.ready() ? 200 : 503,
                             .body = health_.sentence() + "\n"};
  };
  handlers["/metrics"] = [this] {
    metrics_.ready(health_.ready());
    const std::map<std::string, agent::Health::Part> parts = health_.parts();
    metrics_.install_ready(parts.at("install").ready && parts.at("plugin").ready);
    if (reconciler_) metrics_.pods(reconciler_->states());
    return agent::HttpAnswer{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                             .body = metrics_.text()};
  };
  http_ = std::make_unique<agent::HttpServer>(http_address(options_), std::move(handlers));
}

void NodeAgent::tell_readiness() {
  const bool ready = health_.ready();
  if (ready == was_ready_) return;
  was_ready_ = ready;
  // What the first list and the start took and no longer need.
  if (ready) malloc_trim(0);
  log_(ready ? LogLevel::info : LogLevel::warn, "agent",
       ready ? "ready" : "no longer ready: " + health_.sentence());
}

void NodeAgent::run(int signal_fd) {
  start_parts();
  for (;;) {
    pollfd signal{.fd = signal_fd, .events = POLLIN, .revents = 0};
    if (poll(&signal, 1, tick_ms) > 0) break;
    tell_readiness();
    const std::lock_guard lock(mutex_);
    if (failed_) break;
  }
  // A part that failed is restarted with the process: nothing is taken out for that.
  {
    const std::lock_guard lock(mutex_);
    if (failed_) std::rethrow_exception(failed_);
  }
  log_(LogLevel::info, "agent", "stopping");
  uninstall_if_deleted();
  stop_parts();
}

// Who is stopped for an upgrade, a drain or a reboot leaves everything in place: pods that start
// meanwhile must not start open.
void NodeAgent::uninstall_if_deleted() {
  const std::size_t slash = options_.daemonset.find('/');
  if (slash == std::string::npos) return;
  agent::ApiServer server(options_.api);
  if (!agent::is_daemonset_deleted(server, options_.daemonset.substr(0, slash),
                                   options_.daemonset.substr(slash + 1))) {
    return;
  }
  // Before our own entry goes, so that the loop does not put it back.
  stop_parts();
  const agent::UninstallStatus left = agent::uninstall(options_.install);
  const bool done = left.outcome == agent::UninstallOutcome::removed;
  log_(done ? LogLevel::info : LogLevel::error, "install",
       "DaemonSet " + quote(options_.daemonset) + " is deleted: " + left.why);
}

std::string NodeAgent::status() const {
  agent::NodeStatus status{.node = options_.node,
                           .version = cni::plugin_version(),
                           .ready = health_.ready(),
                           .parts = health_.parts(),
                           .repair_mode = to_string(options_.repair.mode)};
  {
    const std::lock_guard lock(mutex_);
    status.conf_file = conf_file_;
  }
  if (reconciler_) status.pods = reconciler_->states();
  for (const agent::PodState& pod : status.pods) {
    if (!pod.backend.empty()) status.backend = pod.backend;
  }
  return agent::print_status(status);
}

}  // namespace sluice::cmd

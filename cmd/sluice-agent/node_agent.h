// SPDX-License-Identifier: GPL-2.0-or-later
// The agent's parts, each in a thread of its own, wired to each other and to the end of the
// process.
//
// Threads: install (files), watch (pods into the cache), lookup (answers plugins), repair (rules in
// pods), untaint, HTTP. They share the cache, the health and the metrics, which lock
// for themselves. Only repair enters other network namespaces, and setns(2) is per thread.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/health.h"
#include "agent/install/install_loop.h"
#include "agent/log.h"
#include "agent/pod_cache.h"
#include "agent/repair/reconciler.h"
#include "agent/tell/http_server.h"
#include "agent/tell/metrics.h"
#include "cmd/sluice-agent/run_options.h"
#include "rules/kernel/fd.h"

namespace sluice::cmd {

class NodeAgent {
 public:
  NodeAgent(RunOptions options, agent::Log log);
  ~NodeAgent();
  NodeAgent(const NodeAgent&) = delete;
  NodeAgent(NodeAgent&&) = delete;
  NodeAgent& operator=(const NodeAgent&) = delete;
  NodeAgent& operator=(NodeAgent&&) = delete;

  // Until `signal_fd` (a signalfd(2)) is readable or a part fails. What is installed stays, unless
  // the DaemonSet is being deleted: then our entry is taken out. Throws what a part threw.
  void run(int signal_fd);

 private:
  void start(const char* name, std::function<void()> body);
  void start_parts();
  void stop_parts();
  void watch_pods();
  void answer_plugins();
  void keep_installed();
  void repair_pods();
  void take_taints_off();
  void serve_http();
  void tell_readiness();
  void uninstall_if_deleted();
  std::string status() const;
  bool is_to_stop(const char* loop);
  bool stopping() const { return stop_.load(); }

  RunOptions options_;
  agent::Log log_;
  agent::Health health_;
  agent::PodCache cache_;
  agent::Metrics metrics_;
  std::unique_ptr<agent::Reconciler> reconciler_;  // null in mode off
  std::unique_ptr<agent::HttpServer> http_;
  kernel::Fd stop_event_;  // an eventfd for those who poll
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
  bool was_ready_ = false;

  mutable std::mutex mutex_;
  std::string conf_file_;      // guarded by mutex_
  std::exception_ptr failed_;  // guarded by mutex_; the first one
};

}  // namespace sluice::cmd

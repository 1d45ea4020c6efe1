// SPDX-License-Identifier: GPL-2.0-or-later
// Compares the rules in each injected pod of this node with what it should have, and acts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/kube/pod_actions.h"
#include "agent/log.h"
#include "agent/pod_cache.h"
#include "agent/repair/pod_netns.h"
#include "agent/repair/pod_state.h"
#include "cni/agent_message.h"
#include "cni/config.h"
#include "rules/backend.h"

namespace sluice::agent {

enum class RepairMode : std::uint8_t { off, report, repair, label, remove };

// report, repair, label, delete, off; also Istio's repairPods, labelPods, deletePods. Throws Error.
RepairMode parse_repair_mode(const std::string& text);
const char* to_string(RepairMode mode);

struct RepairConfig {
  RepairMode mode = RepairMode::repair;
  // In mode repair: rewrite whole rule sets of another configuration too, at most
  // `reconfigure_per_minute`.
  bool reconfigure = false;
  std::uint32_t reconfigure_per_minute = 10;
  std::uint32_t interval_seconds = 300;  // of passes over all pods
  bool events = true;                    // write Events on pods
  std::string label_key = "cni.istio.io/uninitialized";
  std::string label_value = "true";
  // The host's, of its initial PID namespace: 1/ns/net in it is the namespace never to be touched.
  // While that may not be seen (CAP_SYS_PTRACE) only the runtimes' files lead to namespaces.
  std::string proc = "/host/proc";
  std::vector<std::string> netns_dirs = {"/host/run/netns"};
  // Where the runtime's path of a namespace is found here: /var/run/netns/x is /host/run/netns/x.
  // By the last component in one of netns_dirs.
};

// Called from the thread of run().
struct RepairHooks {
  // mode is repair, delete, label or reconfigure; result success, skip or fail.
  std::function<void(const char* mode, const char* result)> on_action = {};
  std::function<void(const PodState& state)> on_drift = {};  // when a pod's condition gets bad
};

// What is found wrong is looked at once more 150 ms later before anything is done: the plugin may
// be at work. What goes to the API server goes through a queue, so that a server that is away holds
// up no repair.
//
// run() belongs to one thread; the other functions may be called from any.
class Reconciler {
 public:
  // `plugin` is what the entry in the network configuration says, so that plugin and agent decide
  // alike. `actions` may be null in mode report, repair and off: then no events are written. Throws
  // Error if it is null in mode label or remove.
  Reconciler(RepairConfig config, cni::PluginConfig plugin, PodCache& cache,
             OpenNamespace open_namespace, std::unique_ptr<PodActions> actions, Log log,
             RepairHooks hooks);
  ~Reconciler();
  Reconciler(const Reconciler&) = delete;
  Reconciler(Reconciler&&) = delete;
  Reconciler& operator=(const Reconciler&) = delete;
  Reconciler& operator=(Reconciler&&) = delete;

  // The pod is looked at soon: now if it is new, at most once a second otherwise.
  void notify(const PodRecord& pod);
  // Where the plugin was told to work for this pod: tried first, ownership checked all the same.
  void remember(const cni::Sandbox& sandbox);

  // A pass over all pods at the start, then those notified, then all again every interval. Returns
  // soon after `stop` says true (asked at least every 200 ms); a request to the API server that is
  // under way then is waited for, 5 s at most.
  void run(const std::function<bool()>& stop);

  // Of the pods that run here now, those of the host's network aside; by namespace and name.
  std::vector<PodState> states() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::agent

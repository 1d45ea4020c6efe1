// SPDX-License-Identifier: GPL-2.0-or-later
// What the agent does to objects of the cluster: nothing but this.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/kube/api_server.h"
#include "agent/pod_cache.h"

namespace sluice::agent {

// Each function throws Error with the server's message if it is refused; deadlines are 5 s.
class PodActions {
 public:
  PodActions() = default;
  PodActions(const PodActions&) = delete;
  PodActions(PodActions&&) = delete;
  PodActions& operator=(const PodActions&) = delete;
  PodActions& operator=(PodActions&&) = delete;
  virtual ~PodActions() = default;

  // A v1.Event on the pod. The same (pod UID, reason, message) again within ten minutes raises
  // "count" of the first one (PATCH) instead of making another, so that a loop cannot flood etcd.
  virtual void event(const PodRecord& pod, const std::string& type, const std::string& reason,
                     const std::string& message) = 0;
  // With the precondition that it is still this pod (UID). A pod that is gone is no error.
  virtual void remove(const PodRecord& pod) = 0;
  // A merge patch of metadata.labels, through pods/status. A pod that is gone is no error.
  virtual void label(const PodRecord& pod, const std::string& key, const std::string& value) = 0;
  // Takes every taint with one of `keys` off the node by a JSON patch that tests the taints it has
  // read, tried again where it lost a race. Whether there was one.
  virtual bool remove_taints(const std::vector<std::string>& keys) = 0;
};

// Over the API server. Events are reported by component sluice-agent on `node`.
std::unique_ptr<PodActions> make_pod_actions(ApiConfig api, std::string node);

// Whether the DaemonSet is gone or being deleted: what tells an uninstall from an upgrade. False
// where the server does not answer or forbids the question: when in doubt the plugin stays.
bool is_daemonset_deleted(ApiServer& server, const std::string& name_space,
                          const std::string& name);

}  // namespace sluice::agent

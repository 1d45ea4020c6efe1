// SPDX-License-Identifier: GPL-2.0-or-later
// This node's pods as the watch knows them, reduced to what decisions need.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cni/json.h"
#include "rules/ip.h"

namespace sluice::agent {

// What is kept of a v1.Pod. `object` is the reduced Pod as JSON text (agent/kube/pod_record.h):
// text is a quarter of what a parsed tree takes.
struct PodRecord {
  std::string name_space = {};
  std::string name = {};
  std::string uid = {};
  // Of a static pod's mirror: the UID that the kubelet passes to the runtime.
  std::string mirror_uid = {};
  std::string object = {};
  std::vector<IpAddress> addresses = {};  // status.podIPs
  bool host_network = false;
  bool finished = false;  // phase Succeeded or Failed, or being deleted: nothing to repair
  // An injected validation container that ended with Istio's exit code for "not redirected", 126.
  bool validation_failed = false;
  bool standalone = false;  // no controller: nobody makes it again once it is deleted

  // Whether the runtime's K8S_POD_UID can mean this pod: equal, the mirror's, or not told.
  bool is(const std::string& sandbox_uid) const {
    return sandbox_uid.empty() || sandbox_uid == uid || sandbox_uid == mirror_uid;
  }
  bool operator==(const PodRecord&) const = default;
};

// Thread-safe.
class PodCache {
 public:
  // Called, outside of the lock, for each pod that is new or other than before; by the thread that
  // changes the cache. Set it before the watch starts.
  using Listener = std::function<void(const PodRecord& pod)>;
  void on_change(Listener listener);

  // The outcome of a list: what is not in it is gone.
  void replace(std::vector<PodRecord> pods);
  void put(PodRecord pod);
  // The same of a pod that was asked for beside the watch, unless a pod of that name is there or
  // this one was erased: what the watch has told meanwhile is newer. What is known of it now.
  PodRecord add(PodRecord pod);
  // Takes the pod out unless another one has its name by now.
  void erase(const std::string& name_space, const std::string& name, const std::string& uid);

  std::optional<PodRecord> find(const std::string& name_space, const std::string& name) const;
  std::vector<PodRecord> all() const;
  std::size_t size() const;

 private:
  using Key = std::pair<std::string, std::string>;

  mutable std::mutex mutex_;
  std::map<Key, PodRecord> pods_;
  std::set<std::string> erased_;  // UIDs, of late
  Listener listener_;
};

}  // namespace sluice::agent

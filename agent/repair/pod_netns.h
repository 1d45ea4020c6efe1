// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the network namespace of a pod of this node. No runtime is asked: a namespace is a pod's if
// an interface in it holds the pod's address, wherever the path came from.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/pod_cache.h"
#include "agent/repair/host_proc.h"
#include "agent/repair/pace.h"
#include "rules/backend.h"

namespace sluice::agent {

// Opens a namespace by path: kernel::open_pod_namespace, or a test's.
using OpenNamespace = std::function<OpenedNamespace(const std::string& path)>;

struct FoundNetns {
  std::unique_ptr<PodNamespace> netns = {};  // null: not found
  std::vector<Link> links = {};
  std::string interface = {};  // holds the first of the pod's addresses that is there at all
  std::string why = {};        // not found: one line
};

// For one thread.
class PodNamespaces {
 public:
  // `netns_dirs` are where the runtimes keep files of namespaces, as mounted here.
  PodNamespaces(std::string proc, std::vector<std::string> netns_dirs, OpenNamespace open);

  // Looks into every namespace of this host, into each once. One that vanishes meanwhile or cannot
  // be opened is left out.
  void scan();

  // In this order: where the plugin was `told` to work (empty: not known), the files of the
  // runtimes, the processes. Files and processes are looked at again if the pod is not found among
  // those known, or if the last look was before `since`: files at most every 100 ms and processes
  // every 250 ms. The host's own namespace is never opened, ours never returned. Where several
  // namespaces hold the address, a process in the pod's cgroup decides: whoever can make a
  // namespace can give it any address. One
  // in which only processes of another pod are is never taken: addresses are used again. While the
  // host's own cannot be told no process leads anywhere.
  FoundNetns find(const PodRecord& pod, const std::string& told, Clock::time_point since);
  // Whether the host's own namespace could be told at the last look.
  bool knows_host() const { return host_.has_value(); }
  // The same as find() among what is known, without looking again and without telling why not.
  FoundNetns find_known(const PodRecord& pod, const std::string& told);

 private:
  struct Seen {
    std::string path = {};
    std::vector<IpAddress> addresses = {};
    std::vector<std::string> pids = {};
  };
  using Index = std::map<NetnsId, Seen>;

  void scan_files(Clock::time_point now);
  void scan_processes(Clock::time_point now);
  void look_into(Seen& seen);
  std::vector<std::string> told_paths(const std::string& told) const;
  static std::vector<NetnsId> holders(const Index& index, const PodRecord& pod);
  bool is_of(const NetnsId& id, const PodRecord& pod) const;
  bool is_of_another(const NetnsId& id, const PodRecord& pod, Clock::time_point now);
  void narrow(std::vector<NetnsId>& ids, const PodRecord& pod, Clock::time_point now);
  bool find_in(const Index& index, const PodRecord& pod, Clock::time_point now, FoundNetns& found);
  bool open_of(const std::string& path, const PodRecord& pod, FoundNetns& found);

  HostProc proc_;
  std::vector<std::string> netns_dirs_;
  OpenNamespace open_;
  std::optional<NetnsId> host_;
  Index files_;
  Index processes_;
  std::optional<Clock::time_point> files_at_;
  std::optional<Clock::time_point> processes_at_;
};

}  // namespace sluice::agent

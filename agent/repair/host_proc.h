// SPDX-License-Identifier: GPL-2.0-or-later
// The host's processes and the network namespaces they are in: proc(5), namespaces(7), cgroups(7).
#pragma once

#include <sys/types.h>

#include <compare>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sluice::agent {

// What tells namespaces apart, as namespaces(7) has it. Numbers are used again once a namespace is
// gone.
struct NetnsId {
  dev_t device = 0;
  ino_t inode = 0;

  auto operator<=>(const NetnsId&) const = default;
};

// Of the file that `path` leads to, by stat(2). Nothing if there is none or it may not be seen.
std::optional<NetnsId> netns_id(const std::string& path);

class HostProc {
 public:
  explicit HostProc(std::string root) : root_(std::move(root)) {}

  // ROOT/PID/ns/net.
  std::string netns_path(const std::string& pid) const { return root_ + "/" + pid + "/ns/net"; }
  // The namespace of process 1, the host's own. Nothing if it may not be seen (that takes what
  // ptrace(2) takes, CAP_SYS_PTRACE in a container) or there is no such process.
  std::optional<NetnsId> host_netns() const { return netns_id(netns_path("1")); }
  // The PIDs, in no order. Empty if there is no such folder.
  std::vector<std::string> pids() const;
  // Whether the path of one of its cgroups has the pod's UID in it, as the kubelet names them:
  // with its dashes, or with underscores by the systemd driver. False for a process that is gone.
  bool is_in_cgroup_of(const std::string& pid, const std::string& pod_uid) const;
  // Whether it is in the cgroup of any pod: "pod" and a UID (36 characters, or a static pod's 32).
  bool is_in_pod_cgroup(const std::string& pid) const;

 private:
  std::string cgroups_of(const std::string& pid) const;

  std::string root_;
};

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// A node whose pods are real network namespaces. Each has eth0 with the pod's addresses.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "rules/kernel/pod_namespace.h"
#include "tests/agent/fake_node.h"
#include "tests/kernel/test_netns.h"

namespace sluice::agent {

// A pod's namespace, connected to nothing.
class LivePod {
 public:
  explicit LivePod(const std::vector<std::string>& addresses) {
    std::string commands =
        "link set lo up\n"
        "link add eth0 type veth peer name peer0\n"
        "link set eth0 up\n";
    for (const std::string& address : addresses) {
      const bool ipv6 = address.find(':') != std::string::npos;
      commands += "addr add " + address + (ipv6 ? "/64 nodad" : "/24") + " dev eth0\n";
    }
    netns_.must({"ip", "-batch", "-"}, commands);
  }

  kernel::TestNetns& netns() { return netns_; }
  // The rules of both families.
  std::string rules() const { return netns_.save(Family::ipv4) + netns_.save(Family::ipv6); }
  void iptables(std::vector<std::string> words) const {
    words.insert(words.begin(), {"iptables-legacy", "-t", "nat"});
    netns_.must(words);
  }

 private:
  kernel::TestNetns netns_;
};

class LiveNode {
 public:
  // The host's namespace is that of the test unless another is given.
  explicit LiveNode(const std::string& host = "/proc/self/ns/net") {
    namespace fs = std::filesystem;
    fs::create_directories(folder_ / "proc/1/ns");
    fs::create_symlink(host, folder_ / "proc/1/ns/net");
    fs::create_directories(folder_ / "netns");
  }

  // Gives the namespace a file, as a runtime does.
  void add(const std::string& name, LivePod& pod) const {
    std::filesystem::create_symlink(pod.netns().path(), folder_ / ("netns/" + name));
  }
  void add_process(pid_t pid) const {
    const std::string number = std::to_string(pid);
    std::filesystem::create_directory_symlink("/proc/" + number, folder_ / ("proc/" + number));
  }
  RepairConfig config(RepairConfig config = {}) const {
    config.proc = folder_ / "proc";
    config.netns_dirs = {folder_ / "netns"};
    return config;
  }

 private:
  TemporaryFolder folder_;
};

class LiveReconciler : public RunningReconciler {
 public:
  explicit LiveReconciler(const RepairConfig& config, const cni::PluginConfig& plugin = {})
      : RunningReconciler(kernel::open_pod_namespace, config, plugin) {}
};

}  // namespace sluice::agent

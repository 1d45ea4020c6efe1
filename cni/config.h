// SPDX-License-Identifier: GPL-2.0-or-later
// The plugin's own keys in the network configuration. README.md has the table.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cni/json.h"
#include "rules/backend.h"
#include "rules/redirect.h"

namespace sluice::cni {

// From the least to the most talkative.
enum class LogLevel : std::uint8_t { none, error, warn, info, debug };

const char* to_string(LogLevel level);

enum class AgentAbsent : std::uint8_t {
  wait,         // refused for now: code 11, and the runtime tries again
  annotations,  // set up as far as annotations and configuration tell
};

// sun_path of sockaddr_un, unix(7), less the NUL.
inline constexpr std::size_t socket_path_limit = 107;

inline constexpr std::chrono::milliseconds default_deadline{20'000};

struct PluginConfig {
  // What a pod gets that says nothing itself.
  RedirectConfig defaults;
  // UIDs and GIDs of the sidecar in a namespace: before the defaults, behind a pod's annotations.
  struct ProxyIds {
    std::vector<std::uint32_t> uids;  // empty: the defaults
    std::vector<std::uint32_t> gids;
  };
  std::map<std::string, ProxyIds> namespaces;
  std::vector<std::string> exclude_namespaces;
  // Redirect every container, not only pods that the mesh has injected a sidecar into.
  bool redirect_all = false;
  // A Kubernetes pod whose annotations the runtime did not forward: pass it or refuse it.
  bool pass_missing_annotations = false;
  // Through which of the kernel's interfaces rules are written.
  BackendSettings backend = {};
  LogLevel log_level = LogLevel::info;
  // What a call may take in all.
  std::chrono::milliseconds deadline = default_deadline;

  // The node agent's socket (cni/agent_message.h); empty: there is no agent.
  std::string agent_socket = {};
  // What becomes of a pod that looks injected while the agent does not say what it is.
  AgentAbsent agent_absent = AgentAbsent::wait;
  std::chrono::milliseconds agent_timeout{2000};
  // Whose pods the agent runs in: they pass, for they cannot wait for themselves.
  struct DaemonSet {
    std::string name_space = {};
    std::string name = {};  // empty: not told
  };
  DaemonSet agent_daemon_set = {};

  // What is wrong with the configuration, one sentence for each key, naming key and value. The
  // key then has its default. If there is nothing, what contradicts itself in it. Fatal to a pod
  // that is redirected, to no other.
  std::vector<std::string> problems;
  // Keys of ours that are not known, most likely misspelled.
  std::vector<std::string> unknown_keys;
};

// Reads our keys of a network configuration. Never throws for what they hold.
PluginConfig read_plugin_config(const Json& network);

}  // namespace sluice::cni

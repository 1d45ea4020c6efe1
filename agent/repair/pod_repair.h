// SPDX-License-Identifier: GPL-2.0-or-later
// What is done about one pod, and when it is looked at again.
#pragma once

#include <cstddef>
#include <set>
#include <string>

#include "agent/log.h"
#include "agent/pod_cache.h"
#include "agent/repair/action_queue.h"
#include "agent/repair/inspection.h"
#include "agent/repair/pace.h"
#include "agent/repair/pod_netns.h"
#include "agent/repair/pod_state.h"
#include "agent/repair/reconciler.h"

namespace sluice::agent {

inline constexpr Clock::time_point never = Clock::time_point::max();

// What is remembered of a pod between two looks.
struct PodEntry {
  PodState state = {};
  Clock::time_point due = never;       // must be looked at
  Clock::time_point notified = never;  // is to be looked at if something changed that matters
  Clock::time_point looked = {};
  std::size_t fingerprint = 0;  // of the record at the last look; 0: not looked at
  // Since when it is known; files of namespaces that were looked at before may be of its former
  // namesake. Of no interest once its own was found.
  Clock::time_point since = Clock::now();

  std::string suspicion = {};  // what the last look found wrong and the next one is to confirm
  std::size_t suspicions = 0;
  std::string drift = {};           // what on_drift was told last; empty while all is well
  std::set<std::string> told = {};  // events that are not to be written again
  WindowLimit events{10, std::chrono::minutes(10)};
  Pauses retry{std::chrono::milliseconds(200), std::chrono::seconds(30)};

  WindowLimit writes{3, std::chrono::minutes(1)};
  Clock::time_point written = {};
  bool fought = false;  // something undoes what is written
  Pauses follow_up{std::chrono::seconds(1), std::chrono::minutes(1)};

  bool acting = false;           // a label or deletion is under way
  bool acted = false;            // and was done
  const char* action = nullptr;  // label or delete
};

// For one thread. The references must outlive it.
class PodRepair {
 public:
  PodRepair(const RepairConfig& config, const cni::PluginConfig& plugin, PodNamespaces& namespaces,
            ActionQueue& queue, const Log& log, const RepairHooks& hooks);

  // Looks at the pod, acts by the mode, and sets `entry`'s state and times. A pod that is well and
  // that was only notified is not looked at while its record says the same. Never throws.
  void look(const PodRecord& pod, const std::string& told, PodEntry& entry);
  // A label or deletion that look() asked the queue for has ended.
  void end_action(const ActionOutcome& outcome, PodEntry& entry);

 private:
  static void settle(PodEntry& entry, const Finding& finding);
  static void follow_up(PodEntry& entry);
  static bool is_confirmed(PodEntry& entry, const Finding& finding);
  void tell_drift(const PodRecord& pod, PodEntry& entry);
  void event(const PodRecord& pod, const char* type, const char* reason,
             const std::string& message);
  void event_once(const PodRecord& pod, PodEntry& entry, const char* type, const char* reason,
                  const std::string& message);
  void look_again(const PodRecord& pod, PodEntry& entry, Finding finding);
  void unreadable(const PodRecord& pod, PodEntry& entry);
  void outdated(const PodRecord& pod, PodEntry& entry, Finding& finding);
  void broken(const PodRecord& pod, PodEntry& entry, Finding& finding);
  void write(const PodRecord& pod, PodEntry& entry, Finding& finding, bool reconfigure);
  void written(const PodRecord& pod, PodEntry& entry, bool reconfigure, const Notices& notices);
  void label(const PodRecord& pod, PodEntry& entry);
  void remove(const PodRecord& pod, PodEntry& entry);
  void say(cni::LogLevel level, const PodRecord& pod, const std::string& text);
  void count(const char* mode, const char* result);

  const RepairConfig& config_;
  const cni::PluginConfig& plugin_;
  PodNamespaces& namespaces_;
  ActionQueue& queue_;
  const Log& log_;
  const RepairHooks& hooks_;
  WindowLimit reconfigurations_;
  WindowLimit removals_{1, std::chrono::seconds(1)};
};

}  // namespace sluice::agent

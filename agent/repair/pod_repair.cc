// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/pod_repair.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <utility>

#include "agent/repair/judge.h"
#include "rules/diff.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

constexpr std::chrono::milliseconds confirmation{150};
// A plugin that is at work is waited for as many times.
constexpr std::size_t most_suspicions = 4;
// So long must a pod be left alone until what was undone is repaired at once again.
constexpr std::chrono::minutes peace{10};
constexpr std::chrono::minutes fight_pause{1};
// A namespace that is not found at once is nothing to tell of.
constexpr std::size_t silent_failures = 4;

constexpr std::size_t most_told = 64;

constexpr const char* normal = "Normal";
constexpr const char* warning = "Warning";

// Of all that what a look finds depends on.
std::size_t fingerprint(const PodRecord& pod) {
  std::string text = pod.uid + '\0' + pod.object + '\0';
  for (const IpAddress& address : pod.addresses) text += to_string(address) + '\0';
  return std::max<std::size_t>(std::hash<std::string>()(text), 1);
}

bool is_settled(PodCondition condition) {
  return condition == PodCondition::intact || condition == PodCondition::passed ||
         condition == PodCondition::waiting || condition == PodCondition::invalid;
}

bool is_broken(PodCondition condition) {
  return condition == PodCondition::missing || condition == PodCondition::damaged ||
         condition == PodCondition::outdated;
}

}  // namespace

PodRepair::PodRepair(const RepairConfig& config, const cni::PluginConfig& plugin,
                     PodNamespaces& namespaces, ActionQueue& queue, const Log& log,
                     const RepairHooks& hooks)
    : config_(config),
      plugin_(plugin),
      namespaces_(namespaces),
      queue_(queue),
      log_(log),
      hooks_(hooks),
      reconfigurations_(config.reconfigure_per_minute, std::chrono::minutes(1)) {}

void PodRepair::say(cni::LogLevel level, const PodRecord& pod, const std::string& text) {
  log_(level, "repair", "pod " + quote(pod.name_space + "/" + pod.name) + ": " + text);
}

void PodRepair::count(const char* mode, const char* result) {
  if (hooks_.on_action) hooks_.on_action(mode, result);
}

void PodRepair::event(const PodRecord& pod, const char* type, const char* reason,
                      const std::string& message) {
  if (config_.events) queue_.event(pod, type, reason, message);
}

void PodRepair::event_once(const PodRecord& pod, PodEntry& entry, const char* type,
                           const char* reason, const std::string& message) {
  // A tenant who keeps changing what is wrong fills neither memory nor etcd.
  const Clock::time_point now = Clock::now();
  const std::string told = std::string(reason) + message;
  if (entry.told.contains(told) || entry.events.next(now) > now) return;
  if (entry.told.size() >= most_told) entry.told.clear();
  entry.told.insert(told);
  entry.events.count(now);
  event(pod, type, reason, message);
}

void PodRepair::tell_drift(const PodRecord& pod, PodEntry& entry) {
  const std::string drift = std::string(to_string(entry.state.condition)) + entry.state.why;
  if (entry.drift == drift) return;
  entry.drift = drift;
  if (hooks_.on_drift) hooks_.on_drift(entry.state);
  say(cni::LogLevel::warn, pod,
      std::string("its rules are ") + to_string(entry.state.condition) + ": " + entry.state.why);
}

void PodRepair::look(const PodRecord& pod, const std::string& told, PodEntry& entry) {
  const Clock::time_point now = Clock::now();
  const bool must = entry.due <= now;
  const std::size_t seen = fingerprint(pod);
  entry.looked = now;
  entry.notified = never;
  if (!must && seen == entry.fingerprint && is_settled(entry.state.condition)) return;
  entry.due = never;
  if (seen != entry.fingerprint) {
    entry.retry.reset();
    // What was found before it had these addresses is not its own.
    entry.since = now;
  }
  entry.fingerprint = seen;
  try {
    look_again(pod, entry, inspect(pod, plugin_, namespaces_, told, entry.since));
  } catch (const std::exception& failure) {
    entry.state.condition = PodCondition::unreadable;
    entry.state.why = printable(failure.what());
    unreadable(pod, entry);
  }
}

void PodRepair::look_again(const PodRecord& pod, PodEntry& entry, Finding finding) {
  if (!finding.backend.empty()) {
    entry.since = {};
    entry.state.backend = finding.backend;
  }
  if (is_broken(finding.condition) && !is_confirmed(entry, finding)) return;
  settle(entry, finding);
  switch (finding.condition) {
    case PodCondition::passed:
    case PodCondition::waiting:
      entry.drift.clear();
      return;
    case PodCondition::intact:
      entry.drift.clear();
      entry.retry.reset();
      return follow_up(entry);
    case PodCondition::invalid:
      tell_drift(pod, entry);
      return event_once(pod, entry, warning, "InvalidSettings", entry.state.why);
    case PodCondition::unreadable:
      return unreadable(pod, entry);
    case PodCondition::outdated:
      tell_drift(pod, entry);
      return outdated(pod, entry, finding);
    case PodCondition::missing:
    case PodCondition::damaged:
      tell_drift(pod, entry);
      return broken(pod, entry, finding);
  }
}

void PodRepair::settle(PodEntry& entry, const Finding& finding) {
  entry.suspicion.clear();
  entry.suspicions = 0;
  entry.state.condition = finding.condition;
  entry.state.why = finding.why;
}

// After a repair the pod is looked at more often for a while: what undid it may do so again.
void PodRepair::follow_up(PodEntry& entry) {
  const Clock::time_point now = Clock::now();
  if (!entry.state.repaired) return;
  if (now - entry.written < peace) {
    entry.due = now + entry.follow_up.next();
  } else {
    entry.fought = false;
  }
}

// A plugin that is writing just now is seen as rules that are missing or partial, each time other
// ones.
bool PodRepair::is_confirmed(PodEntry& entry, const Finding& finding) {
  const std::string found = std::string(to_string(finding.condition)) + finding.why;
  // What was told of already needs no second look.
  if (found == entry.suspicion || found == entry.drift) return true;
  if (entry.suspicions >= most_suspicions) return true;
  entry.suspicion = found;
  ++entry.suspicions;
  entry.due = Clock::now() + confirmation;
  return false;
}

void PodRepair::unreadable(const PodRecord& pod, PodEntry& entry) {
  entry.due = Clock::now() + entry.retry.next();
  if (entry.retry.failures() <= silent_failures) return;
  tell_drift(pod, entry);
  if (!pod.validation_failed) return;
  if (config_.mode == RepairMode::label) label(pod, entry);
  if (config_.mode == RepairMode::remove) remove(pod, entry);
}

void PodRepair::outdated(const PodRecord& pod, PodEntry& entry, Finding& finding) {
  if (config_.mode == RepairMode::repair && config_.reconfigure &&
      config_.reconfigure_per_minute > 0) {
    return write(pod, entry, finding, true);
  }
  event_once(pod, entry, normal, "OutdatedRules",
             "its rules are a whole set, but of another configuration: " + entry.state.why);
}

void PodRepair::broken(const PodRecord& pod, PodEntry& entry, Finding& finding) {
  switch (config_.mode) {
    case RepairMode::off:
      return;
    case RepairMode::report:
      return event_once(pod, entry, warning, "BrokenPod",
                        std::string("its rules are ") + to_string(entry.state.condition) + ": " +
                            entry.state.why);
    case RepairMode::repair:
      return write(pod, entry, finding, false);
    case RepairMode::label:
      return label(pod, entry);
    case RepairMode::remove:
      return remove(pod, entry);
  }
}

void PodRepair::write(const PodRecord& pod, PodEntry& entry, Finding& finding, bool reconfigure) {
  const Clock::time_point now = Clock::now();
  const char* mode = reconfigure ? "reconfigure" : "repair";
  const Clock::time_point allowed =
      entry.fought ? std::max(now, entry.written + fight_pause) : entry.writes.next(now);
  if (allowed > now) {
    if (!entry.fought) count(mode, "skip");
    entry.fought = true;
    entry.due = std::max(allowed, entry.written + fight_pause);
    entry.state.why += "; something undoes every repair, the next one is in a minute at most";
    return event_once(pod, entry, warning, "RepairUndone",
                      "its rules were repaired and are gone again; another program changes them");
  }
  if (reconfigure) {
    entry.due = reconfigurations_.next(now);
    if (entry.due > now) return;
    reconfigurations_.count(now);
    entry.due = never;
  }
  try {
    Backend& backend = finding.netns->backend(plugin_.backend);
    const Notices notices = backend.apply(finding.wanted);
    const Interception live = backend.read();
    if (!diff(finding.wanted, live).empty()) {
      throw Error("read back, they are not as written: " + describe(finding.wanted, live));
    }
    written(pod, entry, reconfigure, notices);
  } catch (const std::exception& failure) {
    const std::string why = printable(failure.what());
    count(mode, "fail");
    event_once(pod, entry, warning, "RepairFailed", "its rules could not be written: " + why);
    if (entry.retry.failures() == 0) {
      say(cni::LogLevel::error, pod, "its rules could not be written: " + why);
    }
    entry.state.why += "; could not be written: " + why;
    entry.due = Clock::now() + entry.retry.next();
  }
}

void PodRepair::written(const PodRecord& pod, PodEntry& entry, bool reconfigure,
                        const Notices& notices) {
  const Clock::time_point now = Clock::now();
  const std::string found = std::string(to_string(entry.state.condition)) + ": " + entry.state.why;
  entry.written = now;
  entry.writes.count(now);
  entry.retry.reset();
  entry.follow_up.reset();
  entry.due = now + entry.follow_up.next();
  entry.drift.clear();
  entry.state.repaired = true;
  entry.state.condition = PodCondition::intact;
  entry.state.why = "repaired; they were " + found;
  count(reconfigure ? "reconfigure" : "repair", "success");
  event(pod, normal, reconfigure ? "ReconfiguredPod" : "RepairedPod",
        "its rules were written anew; they were " + found);
  say(cni::LogLevel::info, pod, "its rules were written anew; they were " + found);
  for (const std::string& notice : notices) say(cni::LogLevel::warn, pod, notice);
}

void PodRepair::label(const PodRecord& pod, PodEntry& entry) {
  if (entry.acting || entry.acted) return;
  entry.acting = true;
  entry.action = "label";
  queue_.label(pod, config_.label_key, config_.label_value);
}

void PodRepair::remove(const PodRecord& pod, PodEntry& entry) {
  if (entry.acting || entry.acted) return;
  // Nobody would make it again.
  if (pod.standalone && pod.mirror_uid.empty()) return label(pod, entry);
  if (!pod.mirror_uid.empty()) {
    // The kubelet would make the mirror again and leave the pod as it is.
    if (entry.told.insert("mirror").second) count("delete", "skip");
    return event_once(pod, entry, warning, "BrokenPod",
                      std::string("its rules are ") + to_string(entry.state.condition) + ": " +
                          entry.state.why + "; a static pod is not deleted");
  }
  const Clock::time_point now = Clock::now();
  const Clock::time_point allowed = removals_.next(now);
  if (allowed > now) {
    entry.due = allowed;
    return;
  }
  removals_.count(now);
  entry.acting = true;
  entry.action = "delete";
  queue_.remove(pod);
}

void PodRepair::end_action(const ActionOutcome& outcome, PodEntry& entry) {
  if (!entry.acting) return;
  entry.acting = false;
  const bool deleted = std::string_view(entry.action) == "delete";
  const PodRecord& pod = outcome.pod;
  if (!outcome.failure.empty()) {
    count(entry.action, "fail");
    const std::string failed =
        (deleted ? "it could not be deleted: " : "it could not be labelled: ") + outcome.failure;
    say(cni::LogLevel::error, pod, failed);
    event_once(pod, entry, warning, "RepairFailed", failed);
    entry.due = Clock::now() + entry.retry.next();
    return;
  }
  entry.acted = true;
  entry.retry.reset();
  count(entry.action, "success");
  const std::string why =
      std::string("its rules are ") + to_string(entry.state.condition) + ": " + entry.state.why;
  event_once(pod, entry, warning, deleted ? "DeleteBrokenPod" : "LabelBrokenPod",
             (deleted ? "deleted: " : "labelled " + quote(config_.label_key) + ": ") + why);
  say(cni::LogLevel::warn, pod, (deleted ? "deleted: " : "labelled: ") + why);
}

}  // namespace sluice::agent

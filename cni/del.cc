// SPDX-License-Identifier: GPL-2.0-or-later
#include <exception>
#include <system_error>

#include "cni/code.h"
#include "cni/verbs.h"
#include "rules/error.h"

namespace sluice::cni {
namespace {

// Either one takes out what is ours in both interfaces: what the configuration says now does not
// tell what was written. A kernel that offers neither has nothing to take out.
Backend* backend_of(PodNamespace& pod, const Call& call) {
  BackendSettings settings = call.config.backend;
  settings.choice = BackendChoice::automatic;
  try {
    return &pod.backend(settings);
  } catch (const Error& error) {
    if (error.code() != std::errc::not_supported) throw;
    return nullptr;
  }
}

void remove_from(PodNamespace& pod, const Call& call, Outcome& outcome) {
  // The host's namespace has no rules of ours, whatever a stale path says.
  if (pod.is_own()) {
    log(outcome, LogLevel::warn, "CNI_NETNS is the namespace of the plugin itself: left alone");
    return;
  }
  // Rules belong to the namespace, not to an interface: while another interface connects the pod,
  // taking them out would open it.
  if (is_connected_otherwise(pod.links(), call.environment.ifname)) {
    log(outcome, LogLevel::info,
        subject(call) + " has other interfaces than " + quote(call.environment.ifname) +
            ": its rules stay");
    return;
  }
  Backend* backend = backend_of(pod, call);
  if (backend == nullptr) return;
  outcome.report.backend = backend->name();
  for (const std::string& notice : backend->remove()) {
    log(outcome, LogLevel::warn, subject(call) + ": " + notice);
  }
}

}  // namespace

void del(const Call& call, Outcome& outcome) {
  const std::string& path = call.environment.netns;
  if (path.empty()) return;
  // The namespace goes with the pod and nothing of ours is elsewhere: whatever fails in it is not
  // worth keeping a pod from being deleted.
  try {
    const OpenedNamespace opened = call.host.open_namespace(path);
    if (const auto* pod = std::get_if<std::unique_ptr<PodNamespace>>(&opened)) {
      remove_from(**pod, call, outcome);
    }
  } catch (const std::exception& error) {
    // But for a call that is broken off: the runtime tries it again.
    const auto* ours = dynamic_cast<const Error*>(&error);
    if (ours != nullptr && ours->code() == Code::try_again_later) throw;
    log(outcome, LogLevel::warn, subject(call) + ": rules may be left behind: " + error.what());
  }
}

}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/code.h"
#include "cni/identify.h"
#include "cni/result.h"
#include "cni/verbs.h"
#include "rules/error.h"

namespace sluice::cni {
namespace {

// Returns through what, for the log.
std::string redirect(const Call& call, const Json& previous, const RedirectConfig& config,
                     Outcome& outcome) {
  const std::unique_ptr<PodNamespace> pod = open_namespace(call);
  Backend& backend = pod->backend(call.config.backend);
  outcome.report.backend = backend.name();
  // The backend finds out by itself whether lo takes the address, and says so if it does not.
  const PodNetwork network = network_in(*pod, call, previous, true);
  const Wanted wanted = wanted_in(*pod, call, network, config);
  for (const std::string& notice : backend.apply(wanted.interception)) {
    log(outcome, LogLevel::warn, subject(call) + ": " + notice);
  }
  if (!wanted.address_known && config.ipv6 == Ipv6Policy::automatic && !config.dual_stack) {
    log(outcome, LogLevel::warn,
        subject(call) + " has no address yet: IPv6 is not redirected, should one come");
  }
  for (const IpAddress& address : wanted.uncaptured) {
    log(outcome, LogLevel::warn,
        subject(call) + ": traffic of address " + to_string(address) +
            " is not redirected: the pod's first address is IPv4 and the mesh is not dual stack");
  }
  return std::string("; through ") + backend.name() + ": " + backend.reason();
}

}  // namespace

void add(const Call& call, Outcome& outcome) {
  const Json previous = previous_result(call.request);
  const Identified pod = identify(call);
  if (!pod.decision) throw Error(Code::try_again_later, pod.unknown);
  if (!pod.unknown.empty()) log(outcome, LogLevel::warn, pod.unknown);
  const Decision& decision = *pod.decision;
  outcome.report.reason = to_string(decision.why);
  const std::string through =
      decision.redirect ? redirect(call, previous, decision.config, outcome) : std::string();
  log(outcome, LogLevel::info,
      subject(call) + (decision.redirect ? " is redirected: " : " is not redirected: ") +
          decision.reason + through);
  outcome.report.outcome = decision.redirect ? "redirected" : "passed";
  outcome.out = to_line(previous) + "\n";
}

}  // namespace sluice::cni

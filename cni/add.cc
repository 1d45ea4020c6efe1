// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/result.h"
#include "cni/verbs.h"

namespace sluice::cni {
namespace {

void redirect(const Call& call, const Json& previous, const RedirectConfig& config,
              Outcome& outcome) {
  const std::unique_ptr<PodNamespace> pod = open_namespace(call);
  // The backend finds out by itself whether lo takes the address, and says so if it does not.
  const Wanted wanted = wanted_in(*pod, call, previous, config, true);
  for (const std::string& notice : pod->backend().apply(wanted.interception)) {
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
}

}  // namespace

void add(const Call& call, Outcome& outcome) {
  const Json previous = previous_result(call.request);
  const Pod pod = read_pod(call.environment.args, call.request.config);
  const Decision decision = decide(call.config, pod);
  if (decision.redirect) redirect(call, previous, decision.config, outcome);
  log(outcome, LogLevel::info,
      subject(call) + (decision.redirect ? " is redirected: " : " is not redirected: ") +
          decision.reason);
  outcome.out = to_line(previous) + "\n";
}

}  // namespace sluice::cni

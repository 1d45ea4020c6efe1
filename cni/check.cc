// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "cni/code.h"
#include "cni/identify.h"
#include "cni/result.h"
#include "cni/verbs.h"
#include "rules/diff.h"
#include "rules/error.h"
#include "rules/ownership.h"
#include "rules/recognition.h"

namespace sluice::cni {
namespace {

constexpr std::size_t shown_differences = 3;

std::string describe(const std::vector<Difference>& differences) {
  std::string text;
  for (std::size_t i = 0; i < std::min(differences.size(), shown_differences); ++i) {
    text += (i == 0 ? "" : "; ") + to_string(differences[i]);
  }
  if (differences.size() > shown_differences) {
    text += "; and " + std::to_string(differences.size() - shown_differences) + " more";
  }
  return text;
}

bool is_absent(const Interception& live) {
  return !has_owned(live.rulesets) && live.tproxy_routes.empty() &&
         std::none_of(live.loopback_addresses.begin(), live.loopback_addresses.end(),
                      [](const Cidr& cidr) { return is_owned_address(cidr.address); });
}

// Without knowing what is wanted: what some configuration writes into this pod, or nothing.
void check_whole(const Interception& live, const PodNetwork& network) {
  const std::string not_whole = "the rules in the pod are not whole: ";
  if (!live.strays.empty()) {
    throw Error(Code::drift,
                not_whole + "rules of ours are in " + printable(live.strays.front()) + " too");
  }
  if (is_absent(live) || recognise(live, network, Ambiguous::accepted)) return;
  throw Error(Code::drift, not_whole + "no configuration writes what is there");
}

}  // namespace

void check(const Call& call, Outcome& outcome) {
  const Json previous = previous_result(call.request);
  const Identified pod = identify(call);
  if (!pod.unknown.empty()) log(outcome, LogLevel::warn, pod.unknown);
  if (pod.decision) outcome.report.reason = to_string(pod.decision->why);
  if (pod.decision && !pod.decision->redirect) {
    log(outcome, LogLevel::info, subject(call) + " is not redirected: " + pod.decision->reason);
    return;
  }
  const std::unique_ptr<PodNamespace> opened = open_namespace(call);
  Backend& backend = opened->backend(call.config.backend);
  outcome.report.backend = backend.name();
  const PodNetwork network = network_in(*opened, call, previous, opened->loopback_has_ipv6());
  const Interception live = backend.read();
  if (!pod.decision) return check_whole(live, network);
  const Wanted wanted = wanted_in(*opened, call, network, pod.decision->config);
  const std::vector<Difference> differences = diff(wanted.interception, live);
  if (differences.empty()) return;
  if (!pod.unknown.empty()) return check_whole(live, network);
  throw Error(Code::drift, "the rules in the pod are not as wanted: " + describe(differences));
}

}  // namespace sluice::cni

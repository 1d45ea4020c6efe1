// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "cni/code.h"
#include "cni/result.h"
#include "cni/verbs.h"
#include "rules/diff.h"
#include "rules/error.h"

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

}  // namespace

void check(const Call& call, Outcome& outcome) {
  const Json previous = previous_result(call.request);
  const Pod pod = read_pod(call.environment.args, call.request.config);
  const Decision decision = decide(call.config, pod);
  if (!decision.redirect) {
    log(outcome, LogLevel::info, subject(call) + " is not redirected: " + decision.reason);
    return;
  }
  const std::unique_ptr<PodNamespace> opened = open_namespace(call);
  const Wanted wanted =
      wanted_in(*opened, call, previous, decision.config, opened->loopback_has_ipv6());
  const std::vector<Difference> differences = diff(wanted.interception, opened->backend().read());
  if (differences.empty()) return;
  throw Error(Code::drift, "the rules in the pod are not as wanted: " + describe(differences));
}

}  // namespace sluice::cni

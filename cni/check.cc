// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "cni/code.h"
#include "cni/identify.h"
#include "cni/result.h"
#include "cni/verbs.h"
#include "rules/diff.h"
#include "rules/error.h"
#include "rules/ownership.h"

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

bool is_entered(const TableRules& nat, const std::string& chain) {
  return std::any_of(nat.chains.begin(), nat.chains.end(), [&](const Chain& from) {
    return std::any_of(from.rules.begin(), from.rules.end(), [&](const Rule& rule) {
      const Jump* jump = std::get_if<Jump>(&rule.target);
      return jump != nullptr && jump->chain == chain;
    });
  });
}

// Every interception leads the pod's own connections into our chains, and no jump leads into an
// empty one; a chain into which none leads may be empty.
bool is_whole(const TableRules& nat) {
  const std::vector<OwnedRules> entries = owned_rules(nat);
  const bool has_entry = std::any_of(entries.begin(), entries.end(), [](const OwnedRules& rules) {
    return rules.chain == "OUTPUT" && !rules.positions.empty();
  });
  return has_entry && std::none_of(nat.chains.begin(), nat.chains.end(), [&](const Chain& chain) {
           return is_owned_chain(chain.name) && chain.rules.empty() && is_entered(nat, chain.name);
         });
}

void check_whole(const Interception& live) {
  if (!live.strays.empty()) {
    throw Error(Code::drift, "the rules in the pod are not whole: rules of ours are in " +
                                 printable(live.strays.front()) + " too");
  }
  for (const Ruleset& ruleset : live.rulesets) {
    const Ruleset ours = owned(ruleset);
    if (find_table(ours, Table::nat) == nullptr) continue;
    if (is_whole(*find_table(ruleset, Table::nat))) continue;
    throw Error(Code::drift, std::string("the rules in the pod are not whole: ") +
                                 to_string(ruleset.family) + " nat");
  }
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
  if (!pod.decision) return check_whole(backend.read());
  const Wanted wanted =
      wanted_in(*opened, call, previous, pod.decision->config, opened->loopback_has_ipv6());
  const Interception live = backend.read();
  const std::vector<Difference> differences = diff(wanted.interception, live);
  if (differences.empty()) return;
  if (!pod.unknown.empty()) return check_whole(live);
  throw Error(Code::drift, "the rules in the pod are not as wanted: " + describe(differences));
}

}  // namespace sluice::cni

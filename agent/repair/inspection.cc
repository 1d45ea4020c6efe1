// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/inspection.h"

#include <utility>

#include "agent/repair/judge.h"
#include "cni/json.h"
#include "cni/pod.h"
#include "cni/pod_object.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

Finding read_rules(FoundNetns found, const PodRecord& pod, const RedirectConfig& config,
                   const BackendSettings& settings) {
  Backend& chosen = found.netns->backend(settings);
  PodView view{.addresses = pod.addresses,
               .links = std::move(found.links),
               .interface = std::move(found.interface),
               .ipv6_on_loopback = found.netns->loopback_has_ipv6(),
               .live = chosen.read()};
  Judgement judgement = judge(config, view);
  std::string backend = chosen.name();
  return {.condition = judgement.condition,
          .why = std::move(judgement.why),
          .netns = std::move(found.netns),
          .wanted = std::move(judgement.wanted),
          .backend = std::move(backend)};
}

// Not worth a search: only where the namespace is at hand.
Finding look_at_passed(const PodRecord& pod, std::string reason, PodNamespaces& namespaces,
                       const std::string& told, const BackendSettings& settings) {
  Finding finding{.condition = PodCondition::passed, .why = std::move(reason)};
  try {
    const FoundNetns found = namespaces.find_known(pod, told);
    if (!found.netns) return finding;
    Backend& chosen = found.netns->backend(settings);
    if (has_own_rules(chosen.read())) {
      finding.why += "; rules that redirect are there all the same and are left alone";
    }
    finding.backend = chosen.name();
  } catch (const Error&) {
    // What it has is of no consequence.
    return finding;
  }
  return finding;
}

}  // namespace

Finding inspect(const PodRecord& pod, const cni::PluginConfig& plugin, PodNamespaces& namespaces,
                const std::string& told, Clock::time_point since) {
  cni::Decision decision;
  try {
    const cni::Json object = cni::parse_json(pod.object, "the pod");
    decision = cni::decide(plugin, cni::read_pod_object(object).pod);
  } catch (const Error& error) {
    return {.condition = PodCondition::invalid, .why = error.what()};
  }
  if (pod.addresses.empty()) {
    return {.condition = decision.redirect ? PodCondition::waiting : PodCondition::passed,
            .why = decision.redirect ? "it has no address yet" : decision.reason};
  }
  if (!decision.redirect) {
    return look_at_passed(pod, decision.reason, namespaces, told, plugin.backend);
  }
  try {
    FoundNetns found = namespaces.find(pod, told, since);
    if (!found.netns) return {.condition = PodCondition::unreadable, .why = std::move(found.why)};
    return read_rules(std::move(found), pod, decision.config, plugin.backend);
  } catch (const Error& error) {
    return {.condition = PodCondition::unreadable, .why = error.what()};
  }
}

}  // namespace sluice::agent

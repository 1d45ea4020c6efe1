// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/identify.h"

#include <cstdint>
#include <utility>

#include "cni/agent_message.h"
#include "cni/code.h"
#include "cni/object.h"
#include "cni/pod_object.h"
#include "cni/pod_pass.h"
#include "rules/error.h"

namespace sluice::cni {
namespace {

bool has_agent(const Call& call) {
  return !call.config.agent_socket.empty() && call.host.ask_agent;
}

// Annotations that cannot be followed say nothing yet: the containers may.
std::optional<Decision> pass_by_annotations(const PluginConfig& config, const Pod& pod) {
  if (!pod.annotations) return std::nullopt;
  try {
    Decision decision = decide(config, pod);
    if (!decision.redirect) return decision;
  } catch (const Error&) {
    return std::nullopt;
  }
  return std::nullopt;
}

// An agent that is away, hangs or answers nonsense does not know the pod.
LookupAnswer ask(const Call& call, const Pod& pod) {
  const auto timeout = call.config.agent_timeout;
  const std::string packet =
      print_lookup({.sandbox = sandbox_of(call.environment),
                    .deadline_ms = static_cast<std::uint32_t>(timeout.count()),
                    .annotations_known = pod.annotations.has_value()});
  try {
    LookupAnswer answer =
        parse_lookup_answer(call.host.ask_agent(call.config.agent_socket, packet, timeout));
    if (!answer.pod) answer.unknown = quote(answer.unknown);
    return answer;
  } catch (const Error& error) {
    // The plugin itself is to end.
    if (error.code() == Code::try_again_later) throw;
    return {.pod = std::nullopt, .unknown = error.what()};
  }
}

Decision decide_by(const Json& object, const Call& call, Pod pod) {
  try {
    if (!pod.annotations) {
      pod.annotations =
          known_annotations(member(member(object, "metadata"), "annotations"), "its annotations");
    }
    pod.facts = read_pod_object(object).pod.facts;
    if (!pod.facts) throw Error("it has no containers");
  } catch (const Error& error) {
    if (std::optional<Decision> passed = pass_by_annotations(call.config, pod)) return *passed;
    throw Error(Code::invalid_config, subject(call) + " as the agent knows it: " + error.what());
  }
  return decide(call.config, pod);
}

std::string looks_of(const Call& call, const Pod& pod) {
  if (call.config.redirect_all) return subject(call) + " is to be redirected";
  if (pod.annotations) return subject(call) + " looks injected";
  return "the runtime did not forward the annotations of " + subject(call);
}

}  // namespace

Identified identify(const Call& call) {
  const PluginConfig& config = call.config;
  const Pod pod = read_pod(call.environment.args, call.request.config);
  if (!has_agent(call) || !pod.in_kubernetes() || pass_by_name(config, pod)) {
    return {.decision = decide(config, pod)};
  }
  if (std::optional<Decision> passed = pass_by_annotations(config, pod)) {
    return {.decision = std::move(passed)};
  }
  const LookupAnswer answer = ask(call, pod);
  if (answer.pod) return {.decision = decide_by(*answer.pod, call, pod)};
  Identified identified{.decision = std::nullopt,
                        .unknown = looks_of(call, pod) + ", and the agent at " +
                                   quote(config.agent_socket) +
                                   " does not say what it is: " + answer.unknown};
  const bool may_pass = !pod.annotations && config.pass_missing_annotations && !config.redirect_all;
  if (may_pass || config.agent_absent == AgentAbsent::annotations) {
    identified.decision = decide(config, pod);
  }
  return identified;
}

}  // namespace sluice::cni

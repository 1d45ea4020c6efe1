// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/pod_pass.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cni/code.h"
#include "rules/error.h"
#include "rules/parse.h"

namespace sluice::cni {
namespace {

// The names that the injector says it added under `key`.
std::vector<std::string> injected_names(const Json& status, const char* key) {
  std::vector<std::string> names;
  const Json* list = find_value(status, key);
  if (list == nullptr || !list->is_array()) return names;
  for (const Json& name : *list) {
    if (name.is_string()) names.push_back(name.get<std::string>());
  }
  return names;
}

// Whether the injector's status shows that there is no sidecar to redirect to.
// A status that cannot be read counts as injected: a pod that looks injected is not let out.
std::optional<Pass> pass_in_status(const std::string& text) {
  Json status;
  try {
    status = parse_json(text, "status");
  } catch (const Error&) {
    return std::nullopt;
  }
  const std::vector<std::string> containers = injected_names(status, "containers");
  std::vector<std::string> names = injected_names(status, "initContainers");
  names.insert(names.end(), containers.begin(), containers.end());
  const auto has = [&](const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (has(init_container)) {
    return Pass{Reason::istio_init, "the init container istio-init redirects it"};
  }
  if (!containers.empty() && !has(sidecar_container)) {
    return Pass{Reason::no_sidecar, "no container istio-proxy is injected"};
  }
  return std::nullopt;
}

// Whether one of the comma-separated template names is one without a redirecting sidecar.
bool names_other_template(std::string_view text) {
  while (!text.empty()) {
    std::string_view name = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), name.size() + 1));
    name.remove_prefix(std::min(name.size(), name.find_first_not_of(' ')));
    name = name.substr(0, name.find_last_not_of(' ') + 1);
    if (name == "gateway" || name.substr(0, 5) == "grpc-") return true;
  }
  return false;
}

bool is_false(const std::string& text) {
  try {
    return !parse_bool(text);
  } catch (const Error&) {
    return false;
  }
}

// The label wins, also where it is neither true nor false.
std::optional<Pass> pass_in_inject(const Annotations& annotations,
                                   const std::optional<std::string>& label) {
  const auto pass = [](const char* what) {
    return Pass{Reason::inject_false, std::string(what) + " " + inject_annotation + " is false"};
  };
  if (label) return is_false(*label) ? std::optional(pass("label")) : std::nullopt;
  const std::string* inject = find_annotation(annotations, inject_annotation);
  if (inject == nullptr || !is_false(*inject)) return std::nullopt;
  return pass("annotation");
}

// What the annotations hint at, where the containers are not known.
std::optional<Pass> pass_in_hints(const Annotations& annotations, const std::string& status) {
  const std::string* templates = find_annotation(annotations, templates_annotation);
  if (templates != nullptr && names_other_template(*templates)) {
    return Pass{Reason::other_template,
                std::string("annotation ") + templates_annotation + " is " + quote(*templates)};
  }
  return pass_in_status(status);
}

// Why an injected pod has no sidecar to redirect to.
std::optional<Pass> find_pass(const Annotations& annotations,
                              const std::optional<PodFacts>& facts) {
  std::optional<Pass> pass = facts ? find_pass(*facts) : std::nullopt;
  if (!pass) pass = pass_in_inject(annotations, facts ? facts->inject_label : std::nullopt);
  if (pass) return pass;
  const std::string* status = find_annotation(annotations, status_annotation);
  if (status == nullptr) {
    return Pass{Reason::no_status, std::string("annotation ") + status_annotation + " is absent"};
  }
  return facts ? std::nullopt : pass_in_hints(annotations, *status);
}

// A DaemonSet's pods are named after it, cut to maxGeneratedNameLength (apiserver's
// storage/names/generate.go), with five letters of SafeEncodeString (apimachinery's util/rand).
bool is_pod_of(const PluginConfig::DaemonSet& set, const Pod& pod) {
  constexpr std::size_t base_limit = 58;
  constexpr std::size_t suffix_length = 5;
  if (set.name.empty() || pod.name_space != set.name_space) return false;
  const std::string base = (set.name + "-").substr(0, base_limit);
  return pod.name.size() == base.size() + suffix_length &&
         pod.name.compare(0, base.size(), base) == 0 &&
         pod.name.find_first_not_of("bcdfghjklmnpqrstvwxz2456789", base.size()) ==
             std::string::npos;
}

}  // namespace

std::optional<Pass> pass_by_name(const PluginConfig& config, const Pod& pod) {
  if (!pod.in_kubernetes()) return std::nullopt;
  if (is_pod_of(config.agent_daemon_set, pod)) {
    return Pass{Reason::agent_pod, "it is the node agent"};
  }
  const auto& excluded = config.exclude_namespaces;
  if (std::find(excluded.begin(), excluded.end(), pod.name_space) == excluded.end()) {
    return std::nullopt;
  }
  return Pass{Reason::excluded_namespace, "namespace " + quote(pod.name_space) + " is excluded"};
}

std::optional<Pass> find_pass(const PluginConfig& config, const Pod& pod) {
  if (std::optional<Pass> pass = pass_by_name(config, pod)) return pass;
  if (pod.facts && pod.facts->host_network) {
    return Pass{Reason::host_network, "it uses the host's network"};
  }
  if (config.redirect_all) return std::nullopt;
  if (!pod.in_kubernetes()) return Pass{Reason::not_kubernetes, "it is not a Kubernetes pod"};
  if (pod.annotations) return find_pass(*pod.annotations, pod.facts);
  if (config.pass_missing_annotations) {
    return Pass{Reason::annotations_missing, "its annotations were not forwarded"};
  }
  throw Error(Code::invalid_config,
              std::string("the runtime did not forward the pod's annotations: the network "
                          "configuration must declare the capability ") +
                  annotations_capability + " and the runtime must support it");
}

}  // namespace sluice::cni

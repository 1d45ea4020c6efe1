// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/pod.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "cni/code.h"
#include "cni/proxy_config.h"
#include "cni/runtime_dns.h"
#include "rules/consistency.h"
#include "rules/error.h"
#include "rules/parse.h"

namespace sluice::cni {
namespace {

constexpr const char* status_annotation = "sidecar.istio.io/status";
constexpr const char* inject_annotation = "sidecar.istio.io/inject";
constexpr const char* templates_annotation = "inject.istio.io/templates";
constexpr const char* proxy_config_annotation = "proxy.istio.io/config";

std::string argument(const std::map<std::string, std::string>& args, const char* key) {
  const auto found = args.find(key);
  return found == args.end() ? std::string() : found->second;
}

void read_annotation(const Json& all, const char* key, Annotations& annotations) {
  // Annotation keys are case-sensitive, unlike the runtimes' own.
  const auto found = all.find(key);
  if (found == all.end() || found->is_null()) return;
  if (!found->is_string()) {
    throw Error(Code::invalid_config, std::string("annotation ") + key + ": " +
                                          quote(to_line(*found)) + " is not a string");
  }
  annotations.emplace(key, found->get<std::string>());
}

std::optional<Annotations> read_annotations(const Json& network) {
  const Json* runtime = find_value(network, "runtimeConfig");
  if (runtime == nullptr) return std::nullopt;
  if (!runtime->is_object()) {
    throw Error(Code::invalid_config, "key \"runtimeConfig\": it is not an object");
  }
  const Json* all = find_member(*runtime, annotations_capability);
  if (all == nullptr) return std::nullopt;
  return known_annotations(*all, std::string("key \"runtimeConfig\": ") + annotations_capability);
}

const std::string* find(const Annotations& annotations, const char* key) {
  const auto found = annotations.find(key);
  return found == annotations.end() ? nullptr : &found->second;
}

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

// Why the injector's status shows that there is no sidecar to redirect to; empty if it does not.
// A status that cannot be read counts as injected: a pod that looks injected is not let out.
std::string reason_in_status(const std::string& text) {
  Json status;
  try {
    status = parse_json(text, "status");
  } catch (const Error&) {
    return "";
  }
  const std::vector<std::string> containers = injected_names(status, "containers");
  std::vector<std::string> names = injected_names(status, "initContainers");
  names.insert(names.end(), containers.begin(), containers.end());
  const auto has = [&](const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (has(init_container)) return "the init container istio-init redirects it";
  if (!containers.empty() && !has(sidecar_container)) return "no container istio-proxy is injected";
  return "";
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
std::string reason_in_inject(const Annotations& annotations,
                             const std::optional<std::string>& label) {
  if (label) return is_false(*label) ? std::string("label ") + inject_annotation + " is false" : "";
  const std::string* inject = find(annotations, inject_annotation);
  if (inject == nullptr || !is_false(*inject)) return "";
  return std::string("annotation ") + inject_annotation + " is false";
}

// What the annotations hint at, where the containers are not known.
std::string reason_in_hints(const Annotations& annotations, const std::string& status) {
  const std::string* templates = find(annotations, templates_annotation);
  if (templates != nullptr && names_other_template(*templates)) {
    return std::string("annotation ") + templates_annotation + " is " + quote(*templates);
  }
  return reason_in_status(status);
}

// Why an injected pod has no sidecar to redirect to; empty if it has one.
std::string reason_to_pass(const Annotations& annotations, const std::optional<PodFacts>& facts) {
  std::string reason = facts ? reason_to_pass(*facts) : "";
  if (!reason.empty()) return reason;
  reason = reason_in_inject(annotations, facts ? facts->inject_label : std::nullopt);
  if (!reason.empty()) return reason;
  const std::string* status = find(annotations, status_annotation);
  if (status == nullptr) return std::string("annotation ") + status_annotation + " is absent";
  return facts ? "" : reason_in_hints(annotations, *status);
}

// Why the pod is not redirected, as far as it can be told; empty if it is.
std::string reason_to_pass(const PluginConfig& config, const Pod& pod) {
  const auto& excluded = config.exclude_namespaces;
  if (pod.in_kubernetes() &&
      std::find(excluded.begin(), excluded.end(), pod.name_space) != excluded.end()) {
    return "namespace " + quote(pod.name_space) + " is excluded";
  }
  if (pod.facts && pod.facts->host_network) return "it uses the host's network";
  if (config.redirect_all) return "";
  if (!pod.in_kubernetes()) return "it is not a Kubernetes pod";
  if (pod.annotations) return reason_to_pass(*pod.annotations, pod.facts);
  if (config.pass_missing_annotations) return "its annotations were not forwarded";
  throw Error(Code::invalid_config,
              std::string("the runtime did not forward the pod's annotations: the network "
                          "configuration must declare the capability ") +
                  annotations_capability + " and the runtime must support it");
}

// What the pod says of its proxy, where Istio has it from.
struct Proxy {
  std::optional<std::string> interception_mode;
  ProxyEnv metadata;  // of proxy.istio.io/config
  ProxyEnv env;       // of the container, before that
};

Proxy read_proxy(const Pod& pod) {
  Proxy proxy;
  const std::string* text =
      pod.annotations ? find(*pod.annotations, proxy_config_annotation) : nullptr;
  if (text != nullptr) {
    const std::string where = std::string("annotation ") + proxy_config_annotation + ": ";
    try {
      const ProxyConfig read = parse_proxy_config(*text);
      proxy.interception_mode = read.interception_mode;
      for (const auto& [name, value] : read.metadata) {
        proxy.metadata[name] = {.value = value, .where = where};
        proxy.metadata[name].where.append("proxyMetadata ").append(name);
      }
    } catch (const Error& error) {
      throw Error(Code::invalid_config, where + error.what());
    }
  }
  if (pod.facts && pod.facts->sidecar) proxy.env = pod.facts->sidecar->env;
  return proxy;
}

void apply_proxy(RedirectConfig& config, const Proxy& proxy, const std::optional<PodFacts>& facts) {
  if (proxy.interception_mode) {
    try {
      config.mode = parse_interception_mode(*proxy.interception_mode);
    } catch (const Error& error) {
      throw Error(Code::invalid_config, std::string("annotation ") + proxy_config_annotation +
                                            ": interceptionMode: " + error.what());
    }
  }
  apply_proxy_env(config, proxy.metadata);
  apply_proxy_env(config, proxy.env);
  if (!facts || !facts->sidecar) return;
  if (facts->sidecar->uid) config.proxy_uids = {*facts->sidecar->uid};
  if (facts->sidecar->gid) config.proxy_gids = {*facts->sidecar->gid};
}

RedirectConfig config_for(const PluginConfig& config, const Pod& pod, const Proxy& proxy) {
  if (!config.problems.empty()) {
    throw Error(Code::invalid_config, "network configuration: " + config.problems.front());
  }
  RedirectConfig redirect = config.defaults;
  const auto ids = config.namespaces.find(pod.name_space);
  if (ids != config.namespaces.end()) {
    if (!ids->second.uids.empty()) redirect.proxy_uids = ids->second.uids;
    if (!ids->second.gids.empty()) redirect.proxy_gids = ids->second.gids;
  }
  if (!pod.resolvers.empty()) redirect.resolvers = pod.resolvers;
  apply_proxy(redirect, proxy, pod.facts);
  if (pod.annotations) apply_annotations(redirect, *pod.annotations);
  return redirect;
}

void refuse_contradictions(const RedirectConfig& config, const Pod& pod) {
  try {
    if (config.dns_capture == DnsCapture::resolvers && !pod.resolvers_problem.empty()) {
      throw Error("dnsCapture \"resolvers\": " + pod.resolvers_problem);
    }
    sluice::refuse_contradictions(config);
  } catch (const Error& error) {
    throw Error(Code::invalid_config, error.what());
  }
}

}  // namespace

const std::vector<const char*>& known_annotation_keys() {
  static const std::vector<const char*> keys = [] {
    std::vector<const char*> all{status_annotation, inject_annotation, templates_annotation,
                                 proxy_config_annotation};
    for (const Setting& setting : settings()) {
      for (const char* key : {setting.annotation, setting.former_annotation}) {
        if (*key != '\0') all.push_back(key);
      }
    }
    return all;
  }();
  return keys;
}

Annotations known_annotations(const Json& object, const std::string& what) {
  Annotations annotations;
  if (object.is_null()) return annotations;
  if (!object.is_object()) throw Error(Code::invalid_config, what + " is not an object");
  for (const char* key : known_annotation_keys()) read_annotation(object, key, annotations);
  return annotations;
}

Pod read_pod(const std::map<std::string, std::string>& args, const Json& network) {
  Pod pod{.name_space = argument(args, "K8S_POD_NAMESPACE"),
          .name = argument(args, "K8S_POD_NAME"),
          .annotations = read_annotations(network)};
  try {
    pod.resolvers = runtime_resolvers(network);
  } catch (const Error& error) {
    pod.resolvers_problem = error.what();
  }
  return pod;
}

Decision decide(const PluginConfig& config, const Pod& pod, const Override& override) {
  Decision decision{.redirect = false, .reason = reason_to_pass(config, pod), .config = {}};
  if (!decision.reason.empty()) return decision;
  const Proxy proxy = read_proxy(pod);
  ProxyEnv env = proxy.env;
  env.insert(proxy.metadata.begin(), proxy.metadata.end());  // as far as the container lacks it
  if (!config.redirect_all && disables_envoy(env)) {
    decision.reason = "DISABLE_ENVOY is true";
    return decision;
  }
  decision.config = config_for(config, pod, proxy);
  if (override) override(decision.config);
  if (decision.config.mode == InterceptionMode::none) {
    decision.reason = "its interception mode is NONE";
    return decision;
  }
  refuse_contradictions(decision.config, pod);
  decision.redirect = true;
  decision.reason = config.redirect_all ? "the configuration redirects all" : "it is injected";
  return decision;
}

}  // namespace sluice::cni

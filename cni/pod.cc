// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/pod.h"

#include <utility>

#include "cni/code.h"
#include "cni/pod_pass.h"
#include "cni/proxy_config.h"
#include "cni/runtime_dns.h"
#include "rules/consistency.h"
#include "rules/error.h"
#include "rules/parse.h"

namespace sluice::cni {
namespace {

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

// What the pod says of its proxy, where Istio has it from.
struct Proxy {
  std::optional<std::string> interception_mode;
  ProxyEnv metadata;  // of proxy.istio.io/config
  ProxyEnv env;       // of the container, before that
};

Proxy read_proxy(const Pod& pod) {
  Proxy proxy;
  const std::string* text =
      pod.annotations ? find_annotation(*pod.annotations, proxy_config_annotation) : nullptr;
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
  const auto passed = [](Reason why, const std::string& sentence) {
    return Decision{.redirect = false, .why = why, .reason = sentence, .config = {}};
  };
  if (const std::optional<Pass> pass = find_pass(config, pod)) {
    return passed(pass->why, pass->sentence);
  }
  const Proxy proxy = read_proxy(pod);
  ProxyEnv env = proxy.env;
  env.insert(proxy.metadata.begin(), proxy.metadata.end());  // as far as the container lacks it
  if (!config.redirect_all && disables_envoy(env)) {
    return passed(Reason::proxyless, "DISABLE_ENVOY is true");
  }
  Decision decision{
      .redirect = true,
      .why = config.redirect_all ? Reason::redirect_all : Reason::injected,
      .reason = config.redirect_all ? "the configuration redirects all" : "it is injected",
      .config = config_for(config, pod, proxy)};
  if (override) override(decision.config);
  if (decision.config.mode == InterceptionMode::none) {
    return passed(Reason::mode_none, "its interception mode is NONE");
  }
  refuse_contradictions(decision.config, pod);
  return decision;
}

}  // namespace sluice::cni

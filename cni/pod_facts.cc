// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/pod_facts.h"

#include <utility>

#include "cni/object.h"
#include "rules/error.h"
#include "rules/parse.h"

namespace sluice::cni {
namespace {

constexpr const char* sidecar_path = "container \"istio-proxy\": ";

ProxyEnv read_env(const Json& container) {
  ProxyEnv env;
  for (const Json& entry :
       array_or_empty(member(container, "env"), std::string(sidecar_path) + "env")) {
    const std::string name =
        string_or(member(entry, "name"), "", std::string(sidecar_path) + "env[].name");
    if (!is_proxy_variable(name)) continue;
    ProxyVariable variable{.value = std::nullopt,
                           .where = std::string(sidecar_path) + "env " + name};
    if (member(entry, "valueFrom").is_null()) {
      variable.value = string_or(member(entry, "value"), "", variable.where);
    }
    // The last one counts, as in the container.
    env.insert_or_assign(name, std::move(variable));
  }
  return env;
}

std::vector<std::string> read_args(const Json& container) {
  std::vector<std::string> args;
  const std::string what = std::string(sidecar_path) + "args";
  for (const Json& arg : array_or_empty(member(container, "args"), what)) {
    args.push_back(string_or(arg, "", what + "[]"));
  }
  return args;
}

// `key` of the container's security context, else of the pod's.
std::optional<std::uint32_t> read_id(const Json& container, const Json& spec, const char* key) {
  const Json* id = &member(member(container, "securityContext"), key);
  if (id->is_null()) id = &member(member(spec, "securityContext"), key);
  if (id->is_null()) return std::nullopt;
  const std::string what = std::string("securityContext.") + key;
  if (!id->is_number_integer()) throw Error(what + " is not a whole number");
  const std::uint64_t number = parse_decimal(to_line(*id), highest_id, what);
  if (number == 0) return std::nullopt;
  return static_cast<std::uint32_t>(number);
}

PodFacts::Sidecar read_sidecar(const Json& container, const Json& spec) {
  return {.args = read_args(container),
          .env = read_env(container),
          .uid = read_id(container, spec, "runAsUser"),
          .gid = read_id(container, spec, "runAsGroup")};
}

std::optional<std::string> read_inject_label(const Json& pod) {
  const char* key = "sidecar.istio.io/inject";
  const Json& label = member(member(member(pod, "metadata"), "labels"), key);
  if (label.is_null()) return std::nullopt;
  return string_or(label, "", std::string("label ") + key);
}

bool read_host_network(const Json& spec) {
  const Json& value = member(spec, "hostNetwork");
  if (value.is_null()) return false;
  if (!value.is_boolean()) throw Error("spec.hostNetwork is not true or false");
  return value.get<bool>();
}

}  // namespace

std::optional<PodFacts> read_pod_facts(const Json& pod) {
  const Json& spec = member(pod, "spec");
  if (array_or_empty(member(spec, "containers"), "spec.containers").empty()) return std::nullopt;
  PodFacts facts;
  facts.host_network = read_host_network(spec);
  facts.inject_label = read_inject_label(pod);
  for (const char* key : {"initContainers", "containers"}) {
    const std::string what = std::string("spec.") + key;
    for (const Json& container : array_or_empty(member(spec, key), what)) {
      const std::string name = string_or(member(container, "name"), "", what + "[].name");
      if (name == init_container) facts.has_init = true;
      if (name == sidecar_container) facts.sidecar = read_sidecar(container, spec);
    }
  }
  return facts;
}

std::optional<Pass> find_pass(const PodFacts& facts) {
  if (facts.has_init) {
    return Pass{Reason::istio_init, "the init container istio-init redirects it"};
  }
  if (!facts.sidecar) return Pass{Reason::no_sidecar, "it has no container istio-proxy"};
  if (disables_envoy(facts.sidecar->env)) return Pass{Reason::proxyless, "DISABLE_ENVOY is true"};
  const std::vector<std::string>& args = facts.sidecar->args;
  if (args.size() >= 2 && args[0] == "proxy" && args[1] != "sidecar") {
    return Pass{Reason::other_proxy, "its proxy is of type " + quote(args[1])};
  }
  return std::nullopt;
}

}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
// Environment variables of the sidecar's container that tell Istio's own redirection what to do.
// They come from the container itself where the Pod is known, else from proxyMetadata of
// proxy.istio.io/config, out of which the injector makes them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "rules/redirect.h"

namespace sluice::cni {

struct ProxyVariable {
  // Nothing if the Pod does not tell it (valueFrom).
  std::optional<std::string> value;
  std::string where;  // for messages: `container "istio-proxy": env ISTIO_DUAL_STACK`
};

// By name; only those for which is_proxy_variable.
using ProxyEnv = std::map<std::string, ProxyVariable>;

// DISABLE_ENVOY, ISTIO_META_DNS_CAPTURE and the others that README.md lists.
bool is_proxy_variable(std::string_view name);

// The sidecar is none: a proxyless gRPC application. A value that is neither true nor false, or is
// not known, does not let the pod out.
bool disables_envoy(const ProxyEnv& env);

// Booleans are those of parse_bool, or empty for "not set". Istio takes any other value, and one
// that it does not know, for false, which lets DNS or a family past the mesh; here it is refused:
// throws Error with Code::invalid_config that says where.
//
// ISTIO_META_DNS_CAPTURE says whether DNS is captured. Which queries are says CAPTURE_ALL_DNS
// (false: those to the pod's own resolvers), else `config` if it captures DNS already, else all
// are.
void apply_proxy_env(RedirectConfig& config, const ProxyEnv& env);

}  // namespace sluice::cni

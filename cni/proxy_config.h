// SPDX-License-Identifier: GPL-2.0-or-later
// Istio's ProxyConfig (mesh/v1alpha1/proxy.proto), as the annotation proxy.istio.io/config holds it
// for one pod. It is YAML that a tenant wrote, read by a process with all privileges: no document
// tree is built, and of YAML only maps and scalars mean anything.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::cni {

inline constexpr std::size_t proxy_config_size_limit = std::size_t{64} * 1024;
inline constexpr std::size_t proxy_config_depth_limit = 32;

struct ProxyConfig {
  std::optional<std::string> interception_mode;
  // Those of proxyMetadata that are in proxy_variables().
  std::map<std::string, std::string> metadata;
};

// One document, or none. Keys may be spelled as in JSON or as in the proto (interception_mode);
// null counts as absent. Keys that are not read are skipped with all that they hold, also lists.
// Throws Error with the line for: invalid YAML, UTF-8 or control characters; anchors, aliases, tags
// and merge keys; a key that stands twice in a map or is no scalar; a second document; a list where
// a map or scalar is read; more than the limits.
ProxyConfig parse_proxy_config(std::string_view text);

}  // namespace sluice::cni

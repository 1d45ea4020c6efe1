// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/proxy_env.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "cni/code.h"
#include "rules/error.h"
#include "rules/parse.h"

namespace sluice::cni {
namespace {

constexpr const char* disable_envoy = "DISABLE_ENVOY";
constexpr const char* capture_all_dns = "CAPTURE_ALL_DNS";
constexpr const char* include_groups = "ISTIO_OUTBOUND_OWNER_GROUPS";
constexpr const char* exclude_groups = "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE";
constexpr const char* loopback = "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR";

// Names of one variable; istio-iptables lets the later one win.
using Names = std::array<const char*, 2>;
constexpr Names dns_capture{"REDIRECT_DNS", "ISTIO_META_DNS_CAPTURE"};
constexpr Names dual_stack{"DUAL_STACK", "ISTIO_DUAL_STACK"};
constexpr Names drop_invalid{"DROP_INVALID", "INVALID_DROP"};

constexpr std::array<const char*, 11> all_names{disable_envoy,   capture_all_dns, include_groups,
                                                exclude_groups,  loopback,        dns_capture[0],
                                                dns_capture[1],  dual_stack[0],   dual_stack[1],
                                                drop_invalid[0], drop_invalid[1]};

// Calls `set` with the value of the variable, if there is one.
template <class Set>
void read(const ProxyEnv& env, const char* name, Set set) {
  const auto found = env.find(name);
  if (found == env.end()) return;
  const auto& [value, where] = found->second;
  try {
    if (!value) throw Error("its value is not in the Pod (valueFrom)");
    set(*value);
  } catch (const Error& error) {
    throw Error(Code::invalid_config, where + ": " + error.what());
  }
}

std::optional<bool> boolean(const ProxyEnv& env, const char* name) {
  std::optional<bool> result;
  read(env, name, [&](const std::string& value) {
    if (!value.empty()) result = parse_bool(value);
  });
  return result;
}

std::optional<bool> boolean(const ProxyEnv& env, const Names& names) {
  const std::optional<bool> first = boolean(env, names[0]);
  const std::optional<bool> second = boolean(env, names[1]);
  return second ? second : first;
}

void apply_dns(RedirectConfig& config, const ProxyEnv& env) {
  const std::optional<bool> captured = boolean(env, dns_capture);
  const std::optional<bool> all = boolean(env, capture_all_dns);
  DnsCapture& scope = config.dns_capture;
  if (captured && !*captured) scope = DnsCapture::off;
  if (captured && *captured && scope == DnsCapture::off) scope = DnsCapture::all;
  if (all && scope != DnsCapture::off) scope = *all ? DnsCapture::all : DnsCapture::resolvers;
}

}  // namespace

bool is_proxy_variable(std::string_view name) {
  return std::find(all_names.begin(), all_names.end(), name) != all_names.end();
}

bool disables_envoy(const ProxyEnv& env) {
  const auto found = env.find(disable_envoy);
  if (found == env.end() || !found->second.value) return false;
  try {
    return parse_bool(*found->second.value);
  } catch (const Error&) {
    return false;
  }
}

void apply_proxy_env(RedirectConfig& config, const ProxyEnv& env) {
  apply_dns(config, env);
  config.dual_stack = boolean(env, dual_stack).value_or(config.dual_stack);
  config.drop_invalid = boolean(env, drop_invalid).value_or(config.drop_invalid);
  read(env, include_groups, [&](const std::string& value) {
    config.include_owner_groups = parse_owner_group_selection(value);
  });
  read(env, exclude_groups,
       [&](const std::string& value) { config.exclude_owner_groups = parse_owner_groups(value); });
  read(env, loopback,
       [&](const std::string& value) { config.ipv4_loopback = parse_ipv4_loopback(value); });
}

}  // namespace sluice::cni

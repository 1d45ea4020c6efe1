// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/proxy_env.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rules/parse.h"
#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

ProxyEnv env_of(const std::vector<std::pair<std::string, std::string>>& values) {
  ProxyEnv env;
  for (const auto& [name, value] : values) env[name] = {.value = value, .where = "env " + name};
  return env;
}

RedirectConfig applied(const std::vector<std::pair<std::string, std::string>>& values,
                       RedirectConfig config = {}) {
  apply_proxy_env(config, env_of(values));
  return config;
}

TEST_CASE("proxy_env: each variable sets its own part", "[proxy_env]") {
  for (const char* name : {"ISTIO_DUAL_STACK", "DUAL_STACK"}) {
    CHECK(applied({{name, "true"}}).dual_stack);
    CHECK_FALSE(applied({{name, "F"}}, {.dual_stack = true}).dual_stack);
    // Not set, as Go's own readers of the environment have it.
    CHECK(applied({{name, ""}}, {.dual_stack = true}).dual_stack);
  }
  for (const char* name : {"INVALID_DROP", "DROP_INVALID"}) {
    CHECK(applied({{name, "1"}}).drop_invalid);
    CHECK_FALSE(applied({{name, "0"}}, {.drop_invalid = true}).drop_invalid);
  }
  CHECK(applied({{"ISTIO_OUTBOUND_OWNER_GROUPS", "5,6"}}).include_owner_groups ==
        parse_owner_group_selection("5,6"));
  CHECK_FALSE(applied({{"ISTIO_OUTBOUND_OWNER_GROUPS", ""}}).include_owner_groups.all);
  CHECK(applied({{"ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", "7"}}).exclude_owner_groups ==
        std::vector<std::uint32_t>{7});
  CHECK(applied({{"ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "127.0.0.0/8"}}).ipv4_loopback ==
        parse_cidr("127.0.0.0/8"));
}

TEST_CASE("proxy_env: of two names of one variable the later wins", "[proxy_env]") {
  CHECK_FALSE(applied({{"DUAL_STACK", "true"}, {"ISTIO_DUAL_STACK", "false"}}).dual_stack);
  CHECK(applied({{"DUAL_STACK", "true"}, {"ISTIO_DUAL_STACK", ""}}).dual_stack);
  CHECK(applied({{"DROP_INVALID", "false"}, {"INVALID_DROP", "true"}}).drop_invalid);
  CHECK(applied({{"REDIRECT_DNS", "true"}, {"ISTIO_META_DNS_CAPTURE", "false"}}).dns_capture ==
        DnsCapture::off);
}

TEST_CASE("proxy_env: DNS and its scope", "[proxy_env]") {
  const auto dns = [](const std::vector<std::pair<std::string, std::string>>& values,
                      DnsCapture configured) {
    return applied(values, {.dns_capture = configured}).dns_capture;
  };
  constexpr const char* capture = "ISTIO_META_DNS_CAPTURE";
  constexpr const char* scope = "CAPTURE_ALL_DNS";
  CHECK(dns({{capture, "true"}}, DnsCapture::off) == DnsCapture::all);
  CHECK(dns({{"REDIRECT_DNS", "true"}}, DnsCapture::off) == DnsCapture::all);
  // The mesh says that, the configuration what of it.
  CHECK(dns({{capture, "true"}}, DnsCapture::resolvers) == DnsCapture::resolvers);
  CHECK(dns({{capture, "false"}}, DnsCapture::resolvers) == DnsCapture::off);
  CHECK(dns({{capture, ""}}, DnsCapture::all) == DnsCapture::all);
  CHECK(dns({{capture, "true"}, {scope, "false"}}, DnsCapture::off) == DnsCapture::resolvers);
  CHECK(dns({{capture, "true"}, {scope, "true"}}, DnsCapture::resolvers) == DnsCapture::all);
  CHECK(dns({{scope, "true"}}, DnsCapture::off) == DnsCapture::off);
  CHECK(dns({{scope, "false"}}, DnsCapture::all) == DnsCapture::resolvers);
  CHECK(dns({{capture, "false"}, {scope, "true"}}, DnsCapture::all) == DnsCapture::off);
}

TEST_CASE("proxy_env: what Istio would take for false is refused where it is", "[proxy_env]") {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"ISTIO_META_DNS_CAPTURE", "yes"},
      {"REDIRECT_DNS", "on"},
      {"CAPTURE_ALL_DNS", " true"},
      {"ISTIO_DUAL_STACK", "tRUE"},
      {"DUAL_STACK", "2"},
      {"INVALID_DROP", "no"},
      {"DROP_INVALID", "x"},
      {"ISTIO_OUTBOUND_OWNER_GROUPS", "staff"},
      {"ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", "*"},
      {"ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "10.0.0.0/8"},
  };
  for (const auto& [name, value] : bad) {
    CAPTURE(name, value);
    CHECK(is_proxy_variable(name));
    const Error error = thrown_by([&, n = name, v = value] { applied({{n, v}}); });
    CHECK(code_of(error) == Code::invalid_config);
    CHECK(std::string(error.what()).rfind("env " + name + ": ", 0) == 0);
    CHECK(std::string(error.what()).find(value) != std::string::npos);
    RedirectConfig config;
    const ProxyEnv unknown{{name, {.value = std::nullopt, .where = "env " + name}}};
    CHECK(message_of([&] { apply_proxy_env(config, unknown); }) ==
          "env " + name + ": its value is not in the Pod (valueFrom)");
  }
}

TEST_CASE("proxy_env: DISABLE_ENVOY lets a pod out only if it is true", "[proxy_env]") {
  for (const char* yes : {"1", "t", "true", "True"}) {
    CHECK(disables_envoy(env_of({{"DISABLE_ENVOY", yes}})));
  }
  for (const char* no : {"0", "false", "", "yes", "on", " true"}) {
    CHECK_FALSE(disables_envoy(env_of({{"DISABLE_ENVOY", no}})));
    CHECK_NOTHROW(applied({{"DISABLE_ENVOY", no}}));
  }
  CHECK_FALSE(disables_envoy({}));
  CHECK_FALSE(disables_envoy({{"DISABLE_ENVOY", {.value = std::nullopt, .where = "x"}}}));
}

TEST_CASE("proxy_env: other variables are nobody's", "[proxy_env]") {
  for (const char* name : {"", "PATH", "istio_dual_stack", "ISTIO_META_DNS_AUTO_ALLOCATE",
                           "INBOUND_CAPTURE_PORT", "ISTIO_DUAL_STACK "}) {
    CHECK_FALSE(is_proxy_variable(name));
  }
}

}  // namespace
}  // namespace sluice::cni

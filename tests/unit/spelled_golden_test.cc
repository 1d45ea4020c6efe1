// SPDX-License-Identifier: GPL-2.0-or-later
// Two rule sets of the istio-1.6 layout that users have scripts for, spelled out here so that no
// file can be rewritten over them.
#include <catch2/catch.hpp>
#include <string>

#include "cni/config.h"
#include "cni/json.h"
#include "cni/settings.h"
#include "rules/redirect.h"
#include "rules/text.h"

namespace sluice {
namespace {

constexpr const char* excluded_range = R"(*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:ISTIO_REDIRECT - [0:0]
:ISTIO_IN_REDIRECT - [0:0]
:ISTIO_INBOUND - [0:0]
:ISTIO_OUTPUT - [0:0]
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A OUTPUT -p tcp -j ISTIO_OUTPUT
-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
-A ISTIO_INBOUND -p tcp -m tcp --dport 22 -j RETURN
-A ISTIO_INBOUND -p tcp -m tcp --dport 15090 -j RETURN
-A ISTIO_INBOUND -p tcp -m tcp --dport 15021 -j RETURN
-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN
-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN
-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -o lo -m owner ! --gid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN
-A ISTIO_OUTPUT -d 100.0.0.0/8 -j RETURN
-A ISTIO_OUTPUT -j ISTIO_REDIRECT
COMMIT
)";

constexpr const char* namespace_uid = R"(*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:ISTIO_REDIRECT - [0:0]
:ISTIO_IN_REDIRECT - [0:0]
:ISTIO_INBOUND - [0:0]
:ISTIO_OUTPUT - [0:0]
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A OUTPUT -p tcp -j ISTIO_OUTPUT
-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
-A ISTIO_INBOUND -p tcp -m tcp --dport 22 -j RETURN
-A ISTIO_INBOUND -p tcp -m tcp --dport 15090 -j RETURN
-A ISTIO_INBOUND -p tcp -m tcp --dport 80 -j RETURN
-A ISTIO_INBOUND -p tcp -m tcp --dport 15021 -j RETURN
-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -p tcp -m tcp --dport 80 -j RETURN
-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN
-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -m owner --uid-owner 1000610001 -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1000610001 -j RETURN
-A ISTIO_OUTPUT -m owner --uid-owner 1000610001 -j RETURN
-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -m owner --gid-owner 1000610001 -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -o lo -m owner ! --gid-owner 1000610001 -j RETURN
-A ISTIO_OUTPUT -m owner --gid-owner 1000610001 -j RETURN
-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN
-A ISTIO_OUTPUT -j ISTIO_REDIRECT
COMMIT
)";

// The rules of a command line: flags take the same text as annotations, but also layout and ports.
std::string rules_by_flags(const std::map<std::string, std::string>& flags) {
  RedirectConfig config;
  std::size_t used = 0;
  for (const cni::Setting& setting : cni::settings()) {
    const auto flag = flags.find(setting.flag);
    if (flag == flags.end()) continue;
    setting.set(config, flag->second);
    ++used;
  }
  CHECK(used == flags.size());
  return to_save(redirect_ruleset(config, Family::ipv4));
}

// The rules of a pod's annotations where the network configuration only picks the layout.
std::string rules_by_annotations(const cni::Annotations& annotations) {
  RedirectConfig config = cni::read_plugin_config({{"layout", "istio-1.6"}}).defaults;
  cni::apply_annotations(config, annotations);
  return to_save(redirect_ruleset(config, Family::ipv4));
}

std::string rules_by_configuration(const cni::Json& network) {
  const cni::PluginConfig config = cni::read_plugin_config(network);
  CHECK(config.problems.empty());
  return to_save(redirect_ruleset(config.defaults, Family::ipv4));
}

TEST_CASE("istio-1.6 with an excluded range", "[golden]") {
  CHECK(rules_by_flags({{"--layout", "istio-1.6"},
                        {"--proxy-uid", "1337"},
                        {"--proxy-gid", "1337"},
                        {"--exclude-inbound-ports", "15090,15021"},
                        {"--exclude-outbound-cidrs", "100.0.0.0/8"}}) == excluded_range);
  CHECK(rules_by_annotations({{"sluice.dev/proxy-uid", "1337"},
                              {"sluice.dev/proxy-gid", "1337"},
                              {"traffic.sidecar.istio.io/excludeInboundPorts", "15090,15021"},
                              {"traffic.sidecar.istio.io/excludeOutboundIPRanges",
                               "100.0.0.0/8"}}) == excluded_range);
  CHECK(rules_by_configuration({{"layout", "istio-1.6"},
                                {"proxyUid", 1337},
                                {"proxyGid", 1337},
                                {"excludeInboundPorts", "15090,15021"},
                                {"excludeOutboundCidrs", "100.0.0.0/8"}}) == excluded_range);
}

TEST_CASE("istio-1.6 with the UID of an OpenShift namespace", "[golden]") {
  CHECK(rules_by_flags({{"--layout", "istio-1.6"},
                        {"--proxy-uid", "1000610001"},
                        {"--proxy-gid", "1000610001"},
                        {"--exclude-inbound-ports", "15090,80,15021"},
                        {"--exclude-outbound-ports", "80"}}) == namespace_uid);
  CHECK(rules_by_annotations({{"sluice.dev/proxy-uid", "1000610001"},
                              {"sluice.dev/proxy-gid", "1000610001"},
                              {"traffic.sidecar.istio.io/excludeInboundPorts", "15090,80,15021"},
                              {"traffic.sidecar.istio.io/excludeOutboundPorts", "80"}}) ==
        namespace_uid);
  CHECK(rules_by_configuration({{"layout", "istio-1.6"},
                                {"proxyUid", 1000610001},
                                {"proxyGid", 1000610001},
                                {"excludeInboundPorts", "15090,80,15021"},
                                {"excludeOutboundPorts", "80"}}) == namespace_uid);
}

}  // namespace
}  // namespace sluice

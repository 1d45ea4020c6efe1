// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/configs.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "cni/config.h"
#include "cni/json.h"
#include "cni/settings.h"
#include "rules/ip.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

RedirectConfig read_config(const cni::Json& settings) {
  const cni::PluginConfig plugin = cni::read_plugin_config(settings);
  CHECK(plugin.problems.empty());
  CHECK(plugin.unknown_keys.empty());
  return plugin.defaults;
}

const PodNetwork& dual_stack_pod() {
  static const PodNetwork pod{.addresses = {parse_address("10.0.0.2"), parse_address("fd00::2")}};
  return pod;
}

}  // namespace

std::vector<NamedConfig> golden_configs() {
  std::vector<NamedConfig> all;
  for (const auto& entry : std::filesystem::directory_iterator(SLUICE_GOLDEN_DIR)) {
    const std::filesystem::path& path = entry.path();
    if (path.extension() != ".json") continue;
    INFO(path);
    const cni::Json golden = cni::parse_json(read_file(path), path);
    RedirectConfig config = read_config(golden.at("settings"));
    if (const cni::Json* annotations = cni::find_value(golden, "annotations")) {
      cni::apply_annotations(config, annotations->get<cni::Annotations>());
    }
    all.push_back({.name = path.stem(), .config = std::move(config)});
  }
  std::sort(all.begin(), all.end(),
            [](const NamedConfig& a, const NamedConfig& b) { return a.name < b.name; });
  return all;
}

RedirectConfig config_of(std::string_view json) {
  return read_config(cni::parse_json(json, "the test's configuration"));
}

Interception both_families(const RedirectConfig& config) {
  RedirectConfig dual_stack = config;
  dual_stack.ipv6 = Ipv6Policy::always;
  return interception(dual_stack, dual_stack_pod());
}

Interception ipv4_only(const RedirectConfig& config) {
  RedirectConfig single = config;
  single.ipv6 = Ipv6Policy::never;
  return interception(single, PodNetwork{.addresses = {parse_address("10.0.0.2")}});
}

Interception ipv6_blocked(RedirectConfig config) {
  config.ipv6 = Ipv6Policy::block;
  return interception(config, dual_stack_pod());
}

const RedirectConfig& small_config() {
  static const RedirectConfig config = config_of(R"({
    "excludeInterfaces": "net1",
    "includeInboundPorts": "8080",
    "includeOutboundCidrs": "10.96.0.0/12,fd00:96::/108"
  })");
  return config;
}

const RedirectConfig& large_config() {
  static const RedirectConfig config = config_of(R"({
    "proxyPort": 16001,
    "inboundCapturePort": 16006,
    "proxyUid": [1000, 2000],
    "excludeInterfaces": "eth7,eth8",
    "excludeInboundPorts": "22,9000-9100",
    "excludeOutboundPorts": "25,465",
    "excludeOutboundCidrs": "192.168.0.0/16,2001:db8::/32"
  })");
  return config;
}

}  // namespace sluice::kernel

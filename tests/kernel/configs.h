// SPDX-License-Identifier: GPL-2.0-or-later
// Configurations that the tests apply.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rules/backend.h"
#include "rules/redirect.h"

namespace sluice::kernel {

struct NamedConfig {
  std::string name;
  RedirectConfig config;
};

// Those of tests/golden/*.json.
std::vector<NamedConfig> golden_configs();

// The configuration that these plugin keys, a JSON object, stand for.
RedirectConfig config_of(std::string_view json);

// What Sluice puts into a dual-stack pod, with IPv6 required.
Interception both_families(const RedirectConfig& config);
// What it puts into a pod that has IPv4 only.
Interception ipv4_only(const RedirectConfig& config);
// IPv4 redirected, IPv6 blocked.
Interception ipv6_blocked(RedirectConfig config);

// Two configurations with no rule of the interesting chains in common and different numbers of
// rules; both exclude interfaces.
const RedirectConfig& small_config();
const RedirectConfig& large_config();

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/layout.h"

#include "rules/redirect.h"

namespace sluice {

const std::vector<Layout>& layouts() {
  static const std::vector<Layout> all{
      // istio-cni 1.32. The chains stand in the order in which the kernel lists them.
      {.name = "istio",
       .nat_chains = {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING", "ISTIO_INBOUND",
                      "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT", "ISTIO_REDIRECT"},
       .leading_inbound_exclusions = {},
       .default_inbound_exclusions = {15020},
       .appended_inbound_exclusions = {15020, 15021, 15090},
       .default_outbound_exclusions = {15020},
       .outbound_exclusion_protocols = {Protocol::tcp, Protocol::udp},
       .tunnel_port = true,
       .output_jump_protocol = std::nullopt},
      // Meshes of 2020 and 2021.
      {.name = "istio-1.6",
       .nat_chains = {"PREROUTING", "INPUT", "POSTROUTING", "OUTPUT", "ISTIO_REDIRECT",
                      "ISTIO_IN_REDIRECT", "ISTIO_INBOUND", "ISTIO_OUTPUT"},
       .leading_inbound_exclusions = {22},
       .default_inbound_exclusions = {},
       .appended_inbound_exclusions = {},
       .default_outbound_exclusions = {},
       .outbound_exclusion_protocols = {Protocol::tcp},
       .tunnel_port = false,
       .output_jump_protocol = Protocol::tcp},
  };
  return all;
}

const Layout* find_layout(std::string_view name) {
  for (const Layout& layout : layouts()) {
    if (layout.name == name) return &layout;
  }
  return nullptr;
}

const std::vector<std::string>& layout_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Layout& layout : layouts()) all.emplace_back(layout.name);
    return all;
  }();
  return names;
}

}  // namespace sluice

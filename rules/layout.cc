// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/layout.h"

#include "rules/redirect.h"

namespace sluice {
namespace {

// istio-cni 1.32. The chains stand in the order in which the kernel lists them.
Layout istio() {
  return {.name = "istio",
          .nat_chains = {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING", "ISTIO_INBOUND",
                         "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT", "ISTIO_OUTPUT_DNS", "ISTIO_REDIRECT",
                         "ISTIO_VIRTUAL"},
          .leading_inbound_exclusions = {},
          .default_inbound_exclusions = {15020},
          .appended_inbound_exclusions = {15020, 15021, 15090},
          .default_outbound_exclusions = {15020},
          .outbound_exclusion_protocols = {Protocol::tcp, Protocol::udp},
          .tunnel_port = true,
          .tunnel_port_in_tproxy = false,
          .proxies_together = false,
          .virtual_interfaces_in_full = false,
          .tproxy_only_if_needed = false,
          .output_jump_protocol = std::nullopt};
}

// The same without what is wrong in it.
Layout mended_istio() {
  Layout layout = istio();
  layout.name = "sluice";
  layout.tunnel_port_in_tproxy = true;
  layout.proxies_together = true;
  layout.virtual_interfaces_in_full = true;
  layout.tproxy_only_if_needed = true;
  return layout;
}

}  // namespace

const std::vector<Layout>& layouts() {
  static const std::vector<Layout> all{
      istio(),
      // Meshes of 2020 and 2021.
      {.name = "istio-1.6",
       .nat_chains = {"PREROUTING", "INPUT", "POSTROUTING", "OUTPUT", "ISTIO_REDIRECT",
                      "ISTIO_IN_REDIRECT", "ISTIO_INBOUND", "ISTIO_OUTPUT", "ISTIO_OUTPUT_DNS",
                      "ISTIO_VIRTUAL"},
       .leading_inbound_exclusions = {22},
       .default_inbound_exclusions = {},
       .appended_inbound_exclusions = {},
       .default_outbound_exclusions = {},
       .outbound_exclusion_protocols = {Protocol::tcp},
       .tunnel_port = false,
       .tunnel_port_in_tproxy = false,
       .proxies_together = false,
       .virtual_interfaces_in_full = false,
       .tproxy_only_if_needed = false,
       .output_jump_protocol = Protocol::tcp},
      mended_istio(),
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

// SPDX-License-Identifier: GPL-2.0-or-later
// How the rules of one Istio generation are laid out, as data. redirect.cc reads it; no other
// code asks which layout is in use.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/rule.h"

namespace sluice {

struct Layout {
  std::string_view name;
  // The order in which a text declares nat's chains, those that may be left out included. It means
  // nothing to the kernel.
  std::vector<std::string> nat_chains;
  // Excluded inbound before everything else, when all inbound ports are included.
  std::vector<std::uint16_t> leading_inbound_exclusions;
  // Used where no list of excluded inbound ports is given.
  std::vector<std::uint16_t> default_inbound_exclusions;
  // Appended to the excluded inbound ports unless they are there already.
  std::vector<std::uint16_t> appended_inbound_exclusions;
  // Used where no list of excluded outbound ports is given.
  std::vector<std::uint16_t> default_outbound_exclusions;
  // The protocols for which an excluded outbound port gets a rule.
  std::vector<Protocol> outbound_exclusion_protocols;
  // The tunnel port is returned first in ISTIO_INBOUND and never sent back to the sidecar.
  bool tunnel_port;
  // ...and in mode TPROXY too, where the layout's nat does not see inbound connections.
  bool tunnel_port_in_tproxy;
  // The self-calls of all the sidecar's UIDs and GIDs are told before anybody's traffic over lo.
  bool proxies_together;
  // Exclusions and DNS capture count for virtual interfaces.
  bool virtual_interfaces_in_full;
  // Mode TPROXY writes nothing into mangle if nothing inbound is captured.
  bool tproxy_only_if_needed;
  // OUTPUT's jump to ISTIO_OUTPUT matches this protocol only; nothing = all protocols.
  std::optional<Protocol> output_jump_protocol;
};

// The default first.
const std::vector<Layout>& layouts();

}  // namespace sluice

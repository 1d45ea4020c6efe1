// SPDX-License-Identifier: GPL-2.0-or-later
// Runs of rules that canonical.h speaks of, as the lists that they are. Part of the implementation
// of canonical.h and nft/translate.h.
#pragma once

#include <cstdint>
#include <vector>

#include "rules/ip.h"
#include "rules/rule.h"

namespace sluice {

// What the rules of a run differ in.
enum class Varying : std::uint8_t { nothing, destination, source, port };

struct VaryingCidr {
  Cidr cidr;
  Origin origin = {};
};

struct VaryingPorts {
  PortRange ports;
  Protocol protocol = Protocol::tcp;
  Origin origin = {};
};

struct Run {
  Varying varying = Varying::nothing;
  // The rule without that part; a single rule as it is where nothing varies. Where the port varies
  // it has a protocol only if the run has no choice.
  Rule rest = {};
  std::vector<VaryingCidr> cidrs = {};
  std::vector<VaryingPorts> ports = {};
};

// A chain's rules as runs, each sorted and merged.
std::vector<Run> runs_of(std::vector<Rule> rules);

// The rules of a run.
std::vector<Rule> rules_of(const Run& run);

// `rest` of a run of ports as the rule for that protocol, with the ports if they are given.
Rule with_protocol(Rule rest, Protocol protocol);
Rule with_ports(Rule rest, Protocol protocol, PortRange ports);

// Halves where a CIDR is all addresses of its family or a range all ports, else the same.
std::vector<Cidr> without_all(std::vector<Cidr> cidrs);
std::vector<PortRange> without_all(std::vector<PortRange> ports);

// The rule with its matches in canonical order, ports that are excluded in one match, and no
// address that matches everything.
Rule in_order(Rule rule);

}  // namespace sluice

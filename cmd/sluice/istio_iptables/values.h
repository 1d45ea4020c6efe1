// SPDX-License-Identifier: GPL-2.0-or-later
// The values of istio-iptables' flags. Lists are not those of rules/parse.h: Istio drops empty
// elements and keeps those that stand twice, each of which becomes a rule. Blanks around an element
// are dropped. All functions throw Error naming the offending element.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rules/ip.h"
#include "rules/redirect.h"

namespace sluice::cmd::istio_iptables {

// "80,8000-8100"; iptables' own spelling of a range, "8000:8100", is taken too.
std::vector<PortRange> list_ports(std::string_view text);
// "*" is all, "" is none.
Selection<PortRange> select_ports(std::string_view text);

std::vector<Cidr> list_cidrs(std::string_view text);
Selection<Cidr> select_cidrs(std::string_view text);

// UIDs or GIDs as numbers: there is no name service in a static program. `what` is "UID" or "GID".
std::vector<std::uint32_t> list_ids(std::string_view text, std::string_view what);
Selection<std::uint32_t> select_ids(std::string_view text, std::string_view what);

// Interface names; a trailing '+' stands for every name with that prefix, iptables(8).
std::vector<std::string> list_interfaces(std::string_view text);

// "REDIRECT", which "" stands for too, "TPROXY", "NONE".
InterceptionMode parse_mode(std::string_view text);

// What Go's time.ParseDuration takes ("5s", "1m30s", "500ms", "1.5h"), from 1 ms to 24 h.
std::chrono::milliseconds parse_duration(std::string_view text);

}  // namespace sluice::cmd::istio_iptables

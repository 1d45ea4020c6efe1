// SPDX-License-Identifier: GPL-2.0-or-later
// The form in which rule sets are equal that treat every packet alike for a reason that can be read
// off the rules: neighbours that differ in one port or one address only may stand in any order and
// overlap.
#pragma once

#include <vector>

#include "rules/ip.h"
#include "rules/rule.h"

namespace sluice {

// Sorted; ranges that overlap or adjoin are one.
std::vector<PortRange> merged(std::vector<PortRange> ports);

// Of one family: the fewest CIDRs that hold the same addresses, sorted.
std::vector<Cidr> merged(std::vector<Cidr> cidrs);

// The rules with each run of neighbours merged and sorted. A run is of rules that accept, drop,
// return, jump, redirect or choose a zone and are equal but for (a) the destination port of tcp or
// udp, not negated, and the choice between the two, or (b) the destination, or (c) the source, not
// negated. A positive Multiport counts as one rule for each of its ranges. (a) is sorted by port,
// then protocol, so that Istio's pairs stay pairs. Matches of a rule stand in the order of Match.
// Built-in chains without rules are left out, and so are tables without chains.
// Canonical form is a fixed point.
Ruleset canonical(const Ruleset& ruleset);

}  // namespace sluice

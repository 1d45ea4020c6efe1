// SPDX-License-Identifier: GPL-2.0-or-later
// The form in which rule sets are equal that treat every packet alike for a reason that can be read
// off the rules: neighbours that differ in one port or one address only may stand in any order and
// overlap.
#pragma once

#include <vector>

#include "rules/ip.h"
#include "rules/rule.h"

namespace sluice {

// Sorted; ranges that overlap or adjoin are one. Of each, first <= last.
std::vector<PortRange> merged(std::vector<PortRange> ports);

// Of one family: the fewest CIDRs that hold the same addresses, sorted.
std::vector<Cidr> merged(std::vector<Cidr> cidrs);

// The rules of one chain with each run of neighbours merged and sorted. A run is of rules that
// accept, drop, return, jump, redirect or choose a zone and are equal but for one part, not
// negated: (a) the destination or, where they have none, (b) the source or, where they have
// neither, (c) the destination port of tcp or udp and the choice between the two. A positive
// Multiport counts as one rule for each of its ranges. (c) is sorted by port, then protocol, so
// that Istio's pairs stay pairs. A run of all addresses or ports ends as two halves: a rule without
// the part would be of another run. A rule that jumps is taken to do to a packet the second time
// what it did the first: a chain that returns has no say in what it matched. Matches of a rule
// stand in the order of Match, up to one that counts (Limit) or is not known; ports that are
// excluded, in one of them: a Tcp or Udp for one range, else a Multiport. Canonical form is a fixed
// point. Time grows as n log n.
std::vector<Rule> canonical(std::vector<Rule> rules);

// The same of all chains. Tables stand in the order of the hooks, in them the built-in chains in
// the same order, the others by name. Built-in chains without rules are left out, and so are tables
// without chains.
Ruleset canonical(const Ruleset& ruleset);

}  // namespace sluice

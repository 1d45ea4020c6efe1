// SPDX-License-Identifier: GPL-2.0-or-later
// One chain of one family with its runs as sets, which have no names yet. Part of the
// implementation of translate.h.
#pragma once

#include <string>
#include <vector>

#include "rules/ip.h"
#include "rules/nft/model.h"
#include "rules/rule.h"
#include "rules/runs.h"

namespace sluice::nft {

struct Folded {
  // Without the names of sets.
  Rule rule;
  // What the set is to hold, and which part of the packet must be in it.
  Varying varying = Varying::nothing;
  std::vector<PortRange> ports = {};
  std::vector<Cidr> cidrs = {};
  // What the set is to be called after; not compared.
  Origin origin = {};

  bool operator==(const Folded&) const = default;
};

// `rules` are a chain's in canonical form.
std::vector<Folded> fold(std::vector<sluice::Rule> rules);

// Both families' lists of one chain as one that has each of them in its order. What is equal in
// both stands once where the orders allow it. Time grows as n log n.
std::vector<Folded> joined(std::vector<Folded> ipv4, std::vector<Folded> ipv6);

}  // namespace sluice::nft

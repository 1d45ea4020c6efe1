// SPDX-License-Identifier: GPL-2.0-or-later
// The sets of a table that is being made. Part of the implementation of translate.h.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "rules/nft/fold.h"
#include "rules/nft/model.h"

namespace sluice::nft {

// Gives each set a name that no other one has, after the setting that its members come from:
// "excludeOutboundPorts", "excludeOutboundCidrs-v6", the next one "excludeOutboundPorts-2". One set
// serves up to set_uses_limit rules that need the same.
class Sets {
 public:
  // The rule with the name of its set.
  Rule named(Folded folded);
  // All of them, in the order in which they were needed first.
  std::vector<Set> all() && { return std::move(sets_); }

 private:
  struct Use {
    std::string name;
    std::size_t rules = 0;
  };

  std::string add(const std::string& name, Folded folded);

  std::vector<Set> sets_;
  std::map<std::tuple<std::string, std::vector<PortRange>, std::vector<Cidr>>, Use> uses_;
  std::map<std::string, std::size_t> counts_;
};

}  // namespace sluice::nft

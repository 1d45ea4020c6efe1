// SPDX-License-Identifier: GPL-2.0-or-later
// Random rules, biased towards the edges of what the model can hold.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "rules/ip.h"
#include "rules/rule.h"
#include "tests/kernel/seed.h"

namespace sluice::kernel {

// Only rules that come back as they were: a prefix of length 0 that is not negated, a full range
// of ports and TCP flags without a mask match everything and are stored as no match. Periods of
// limits are such as the vendor's own spelling keeps.
class RandomRules {
 public:
  RandomRules(Family family, std::uint64_t seed) : family_(family), random_(seed) {}

  // A rule that the kernel accepts in a chain of `table` that no chain calls.
  Rule next(Table table);

 private:
  Cidr cidr();
  std::optional<AddressMatch> address();
  std::optional<Interface> interface();
  PortMatch ports();
  std::optional<PortMatch> maybe_ports();
  std::optional<OwnerRange> ids();
  Tcp tcp();
  Owner owner();
  Multiport multiport();
  std::uint32_t bits();
  Limit limit();
  std::vector<Match> matches(std::optional<Protocol> protocol);
  Tproxy tproxy();
  Nflog nflog();
  Target target(Table table, bool has_ports, bool is_tcp);

  Family family_;
  Random random_;
};

// A chain name that jumps in random rules lead to.
inline constexpr const char* random_jump_chain = "SOME-CHAIN_of.28-bytes+here!";

}  // namespace sluice::kernel

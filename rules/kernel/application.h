// SPDX-License-Identifier: GPL-2.0-or-later
// One Interception on its way into the calling thread's network namespace.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "rules/backend.h"
#include "rules/ip.h"
#include "rules/kernel/route.h"
#include "rules/rule.h"

namespace sluice::kernel {

// Our addresses on lo, with their prefix lengths. Throws Error.
std::vector<Cidr> owned_addresses();

// Applies it and remembers what was there before. Order of writes: the addresses and the routes
// that the rules rely on, then IPv4's rules, then IPv6's, in each family the tables from raw to
// filter, last the routes and addresses that are no longer wanted.
class Application {
 public:
  // Throws Error as Backend::apply, without putting anything back.
  void apply(const Interception& wanted);

  // Puts back what was there before, as far as that is possible; returns what could not be.
  Notices roll_back();

  // What apply() found worth saying.
  Notices take_notices();

 private:
  struct Done {
    Family family = Family::ipv4;
    TableRules previous;
  };

  void look_around(const Interception& wanted);
  void add_address(const Cidr& cidr);
  void add_route(const TproxyRoute& route, bool optional);
  void apply_family(const Interception& wanted, Family family);
  void replace_table(Family family, const TableRules& wanted);

  std::array<std::vector<Table>, 2> existing_;  // tables, by family
  std::vector<Done> done_;
  std::vector<Cidr> added_;
  // Absent where there is no reason to look at policy routing.
  std::optional<RouteChanges> routes_;
  std::vector<FamilyMark> marks_;  // of the rules that were there before
  Notices notices_;
};

}  // namespace sluice::kernel

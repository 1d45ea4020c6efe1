// SPDX-License-Identifier: GPL-2.0-or-later
// One Interception on its way into the calling thread's network namespace.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "rules/backend.h"
#include "rules/error.h"
#include "rules/ip.h"
#include "rules/kernel/route.h"
#include "rules/kernel/rule_tables.h"

namespace sluice::kernel {

// Our addresses on lo, with their prefix lengths. Throws Error.
std::vector<Cidr> owned_addresses();

// Applies it and remembers what was there before. Order of writes: the addresses and the routes
// that the rules rely on; the rules of the chosen interface (of x_tables' tables those that get
// rules before those that lose theirs); then the other one is emptied of what is ours (whoever
// changes interfaces is never without rules); last the routes and addresses that are no longer
// wanted. That the other one cannot be emptied is a notice, for the new rules are there; where
// nothing is wanted all is tried, and then it is an error.
class Application {
 public:
  // Both fresh; they must outlive it.
  Application(RuleTables& chosen, RuleTables& other) : chosen_(chosen), other_(other) {}

  // Throws Error as Backend::apply, without putting anything back.
  void apply(const Interception& wanted);

  // Puts back what was there before, as far as that is possible; returns what could not be. Nothing
  // where all is done but what cannot be done.
  Notices roll_back();

  // What apply() found worth saying.
  Notices take_notices();

 private:
  bool other_holds_ours();
  void attempt(const std::function<void()>& step);
  void report_failure();
  void look_around(const Interception& wanted, bool both);
  bool look_for_marks(RuleTables& tables);
  bool rule_is_left();
  void add_address(const Cidr& cidr);
  void add_route(const TproxyRoute& route, bool optional);
  void write(RuleTables& tables, const Interception& wanted);

  RuleTables& chosen_;
  RuleTables& other_;
  std::vector<RuleTables*> written_;
  std::vector<Cidr> added_;
  // Absent where there is no reason to look at policy routing.
  std::optional<RouteChanges> routes_;
  std::vector<FamilyMark> marks_;  // of the rules that were there before
  bool removes_ = false;           // nothing is wanted
  bool stays_ = false;             // what was done is all that can be done
  // The first of what did not keep the rest from being done.
  std::optional<Error> failure_;
  Notices notices_;
};

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/application.h"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include "rules/error.h"
#include "rules/interruption.h"
#include "rules/kernel/link.h"
#include "rules/ownership.h"
#include "rules/tproxy_mark.h"

namespace sluice::kernel {
namespace {

bool wants_nothing(const Interception& wanted) {
  return std::all_of(wanted.rulesets.begin(), wanted.rulesets.end(),
                     [](const Ruleset& ruleset) { return ruleset.tables.empty(); });
}

}  // namespace

std::vector<Cidr> owned_addresses() {
  std::vector<Cidr> ours;
  for (const Cidr& cidr : ipv6_addresses("lo")) {
    if (is_owned_address(cidr.address)) ours.push_back(cidr);
  }
  return ours;
}

void Application::apply(const Interception& wanted) {
  removes_ = wants_nothing(wanted);
  const bool empties_other = other_holds_ours();
  look_around(wanted, empties_other);
  for (const Cidr& cidr : wanted.loopback_addresses) add_address(cidr);
  for (const TproxyRoute& route : wanted.tproxy_routes) {
    add_route(route, route.family == Family::ipv6 && !wanted.ipv6_required);
  }
  if (removes_) {
    throw_if_interrupted();
    attempt([&] { write(chosen_, wanted); });
  } else {
    write(chosen_, wanted);
  }
  if (empties_other) attempt([&] { write(other_, {}); });
  if (routes_) {
    throw_if_interrupted();
    routes_->remove_owned(marks_, wanted.tproxy_routes);
  }
  // There is only one address of ours: where it is wanted there is none to look for.
  if (wanted.loopback_addresses.empty()) {
    for (const Cidr& cidr : owned_addresses()) remove_loopback_address(cidr);
  }
  report_failure();
}

// What a pod's process has put into the other interface may not keep rules from being written.
bool Application::other_holds_ours() {
  bool holds = false;
  attempt([&] { holds = other_.holds_ours(); });
  if (!holds) append(notices_, other_.left_alone());
  return holds;
}

// Goes on where it fails: the rest is to be done all the same.
void Application::attempt(const std::function<void()>& step) {
  // That is no such failure.
  const Uninterrupted scope;
  try {
    step();
  } catch (const Error& error) {
    if (!failure_) failure_ = error;
  }
}

// Rules that are written and read back are not taken out again because others stay: that would
// open the pod. Who wants none is told.
void Application::report_failure() {
  if (!failure_) return;
  stays_ = true;
  if (removes_) throw Error(*failure_);
  notices_.push_back(std::string("rules of ours may be left behind: ") + failure_->what());
}

Notices Application::roll_back() {
  const Uninterrupted scope;
  Notices failures;
  if (stays_) return failures;
  for (; !written_.empty(); written_.pop_back()) append(failures, written_.back()->roll_back());
  if (routes_) append(failures, routes_->roll_back());
  try {
    for (const Cidr& cidr : added_) remove_loopback_address(cidr);
  } catch (const std::exception& failure) {
    failures.emplace_back(failure.what());
  }
  return failures;
}

Notices Application::take_notices() {
  return std::move(notices_);
}

// All of policy routing is only looked at where there is a reason to: the lists cost an ADD that
// has nothing to do with it about as much as its rules.
void Application::look_around(const Interception& wanted, bool both) {
  bool marked = look_for_marks(chosen_);
  if (both) marked = look_for_marks(other_) || marked;
  if (marked || removes_ || !wanted.tproxy_routes.empty() || rule_is_left()) routes_.emplace();
}

// Of an ADD that was killed. Not being able to look may not keep rules from being written.
bool Application::rule_is_left() {
  bool is_left = false;
  attempt([&] { is_left = has_tagged_rule(); });
  return is_left;
}

// Whether rules of ours are in the table whose marks policy routing follows.
bool Application::look_for_marks(RuleTables& tables) {
  bool found = false;
  for (const Ruleset& live : tables.read_mangle()) {
    if (owned(live).tables.empty()) continue;
    found = true;
    if (const std::optional<std::uint32_t> mark = tproxy_mark(live)) {
      marks_.push_back({.family = live.family, .mark = *mark});
    }
  }
  return found;
}

void Application::add_address(const Cidr& cidr) {
  throw_if_interrupted();
  // Where the kernel's answer is lost, only what was there before tells what to take out again.
  const std::vector<Cidr> there = owned_addresses();
  if (std::any_of(there.begin(), there.end(),
                  [&](const Cidr& found) { return found.address == cidr.address; })) {
    return;
  }
  added_.push_back(cidr);
  const AddressChange change = add_loopback_address(cidr);
  if (change != AddressChange::done) added_.pop_back();
  if (change == AddressChange::unsupported) {
    notices_.push_back("address " + to_string(cidr) +
                       " is not added to lo: IPv6 is disabled there");
  }
}

void Application::add_route(const TproxyRoute& route, bool optional) {
  throw_if_interrupted();
  try {
    routes_->add(route);
  } catch (const Error& error) {
    const bool lacking =
        error.code() == std::errc::not_supported || error.code() == std::errc::network_down;
    if (!optional || !lacking) throw;
    notices_.push_back(std::string("IPv6 is left out: ") + error.what());
  }
}

void Application::write(RuleTables& tables, const Interception& wanted) {
  // Noted before: what fails halfway is put back too.
  written_.push_back(&tables);
  append(notices_, tables.write(wanted));
}

}  // namespace sluice::kernel

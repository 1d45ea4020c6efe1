// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/application.h"

#include <algorithm>
#include <array>
#include <exception>
#include <iterator>
#include <string>
#include <utility>

#include "rules/error.h"
#include "rules/kernel/link.h"
#include "rules/kernel/xt/replace.h"
#include "rules/kernel/xt/table.h"
#include "rules/ownership.h"
#include "rules/tproxy_mark.h"

namespace sluice::kernel {
namespace {

bool contains(const std::vector<Table>& tables, Table table) {
  return std::find(tables.begin(), tables.end(), table) != tables.end();
}

bool wants_nothing(const Interception& wanted) {
  return std::all_of(wanted.rulesets.begin(), wanted.rulesets.end(),
                     [](const Ruleset& ruleset) { return ruleset.tables.empty(); });
}

void append(Notices& all, Notices more) {
  std::move(more.begin(), more.end(), std::back_inserter(all));
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
  look_around(wanted);
  for (const Cidr& cidr : wanted.loopback_addresses) add_address(cidr);
  for (const TproxyRoute& route : wanted.tproxy_routes) {
    add_route(route, route.family == Family::ipv6 && !wanted.ipv6_required);
  }
  for (const Family family : families) apply_family(wanted, family);
  if (routes_) routes_->remove_owned(marks_, wanted.tproxy_routes);
  // There is only one address of ours: where it is wanted there is none to look for.
  if (!wanted.loopback_addresses.empty()) return;
  for (const Cidr& cidr : owned_addresses()) remove_loopback_address(cidr);
}

Notices Application::roll_back() {
  Notices failures;
  for (; !done_.empty(); done_.pop_back()) {
    const Done& done = done_.back();
    try {
      xt::replace_owned(done.family, done.previous, [](const TableRules& /*previous*/) {});
    } catch (const std::exception& failure) {
      failures.push_back(std::string("could not put back ") + to_string(done.family) + " table " +
                         to_string(done.previous.table) + ": " + failure.what());
    }
  }
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

// Policy routing is only looked at where there is a reason to: the lists cost an ADD that has
// nothing to do with it about as much as its rules.
void Application::look_around(const Interception& wanted) {
  bool touched = !wanted.tproxy_routes.empty() || wants_nothing(wanted);
  for (const Family family : families) {
    std::vector<Table>& existing = existing_.at(static_cast<std::size_t>(family));
    existing = xt::existing_tables(family);
    if (!contains(existing, Table::mangle)) continue;
    const Ruleset live{.family = family,
                       .tables = {xt::XtTable::open(family, Table::mangle)->read()}};
    if (owned(live).tables.empty()) continue;
    touched = true;
    if (const std::optional<std::uint32_t> mark = tproxy_mark(live)) {
      marks_.push_back({.family = family, .mark = *mark});
    }
  }
  if (touched) routes_.emplace();
}

void Application::add_address(const Cidr& cidr) {
  const AddressChange change = add_loopback_address(cidr);
  if (change == AddressChange::done) added_.push_back(cidr);
  if (change == AddressChange::unsupported) {
    notices_.push_back("address " + to_string(cidr) +
                       " is not added to lo: IPv6 is disabled there");
  }
}

void Application::add_route(const TproxyRoute& route, bool optional) {
  try {
    routes_->add(route);
  } catch (const Error& error) {
    const bool lacking =
        error.code() == std::errc::not_supported || error.code() == std::errc::network_down;
    if (!optional || !lacking) throw;
    notices_.push_back(std::string("IPv6 is left out: ") + error.what());
  }
}

void Application::apply_family(const Interception& wanted, Family family) {
  const auto asked = std::find_if(wanted.rulesets.begin(), wanted.rulesets.end(),
                                  [&](const Ruleset& r) { return r.family == family; });
  const Ruleset ruleset = asked == wanted.rulesets.end() ? Ruleset{.family = family} : *asked;
  const std::vector<Table>& existing = existing_.at(static_cast<std::size_t>(family));
  for (const Table table : all_tables) {
    const TableRules* rules = find_table(ruleset, table);
    if (rules == nullptr && !contains(existing, table)) continue;
    const bool optional = family == Family::ipv6 && !wanted.ipv6_required;
    try {
      replace_table(family, rules == nullptr ? TableRules{.table = table} : *rules);
    } catch (const Error& error) {
      if (!optional || error.code() != std::errc::not_supported) throw;
      notices_.push_back(std::string("IPv6 is left out: ") + error.what());
    }
  }
}

void Application::replace_table(Family family, const TableRules& wanted) {
  append(notices_, xt::replace_owned(family, wanted, [&](TableRules previous) {
           done_.push_back({.family = family, .previous = std::move(previous)});
         }));
}

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/route.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include <linux/rtnetlink.h>

#include "rules/error.h"
#include "rules/kernel/route_message.h"

namespace sluice::kernel {
namespace {

bool has_route(const Routing& routing, std::uint32_t table) {
  return std::any_of(routing.routes.begin(), routing.routes.end(),
                     [&](const Found& found) { return found.exact && found.route.table == table; });
}

// Tables that every namespace has and that are never ours: unspecified, default, main, local.
bool is_kernels_own(std::uint32_t table) {
  return table == RT_TABLE_UNSPEC || (table >= RT_TABLE_DEFAULT && table <= RT_TABLE_LOCAL);
}

bool is_named(const Found& rule, const Routing& routing, const std::vector<FamilyMark>& marks) {
  return rule.exact && !is_kernels_own(rule.route.table) && has_route(routing, rule.route.table) &&
         std::any_of(marks.begin(), marks.end(), [&](const FamilyMark& named) {
           return named.family == rule.route.family && named.mark == rule.route.mark;
         });
}

bool contains(const std::vector<std::uint32_t>& tables, std::uint32_t table) {
  return std::find(tables.begin(), tables.end(), table) != tables.end();
}

bool is_kept(const Found& rule, const std::vector<TproxyRoute>& keep) {
  return rule.exact && std::find(keep.begin(), keep.end(), rule.route) != keep.end();
}

// The mark of a route's rule may be another one now.
bool is_table_kept(const Found& route, const std::vector<TproxyRoute>& keep) {
  return route.exact && std::any_of(keep.begin(), keep.end(), [&](const TproxyRoute& kept) {
           return kept.family == route.route.family && kept.table == route.route.table;
         });
}
[[noreturn]] void refuse(int errnum, Family family, bool add, const std::string& what) {
  const std::string sentence = (add ? "add " : "remove ") + what;
  if (errnum == EAFNOSUPPORT || errnum == EOPNOTSUPP || errnum == EPROTONOSUPPORT) {
    throw unsupported(sentence + ": the kernel does not offer it");
  }
  // Lacking privileges are EPERM.
  if (errnum == EACCES && family == Family::ipv6) {
    throw unsupported(sentence + ": IPv6 is disabled on lo");
  }
  if (errnum == ENETDOWN) {
    throw Error(std::make_error_code(std::errc::network_down), sentence + ": lo is down");
  }
  throw Error(errnum, sentence);
}

}  // namespace

std::vector<TproxyRoute> owned_tproxy_routes(const std::vector<FamilyMark>& marks) {
  NetlinkSocket socket(NETLINK_ROUTE);
  std::vector<TproxyRoute> all;
  for (const Family family : families) {
    const Routing routing = list_routing(socket, family);
    for (const Found& rule : routing.rules) {
      const bool ours = rule.exact && (rule.tagged || is_named(rule, routing, marks));
      if (!ours || !has_route(routing, rule.route.table)) continue;
      if (std::find(all.begin(), all.end(), rule.route) == all.end()) all.push_back(rule.route);
    }
  }
  return all;
}

bool has_tagged_rule() {
  NetlinkSocket socket(NETLINK_ROUTE);
  return lists_tagged_rule(socket);
}

RouteChanges::RouteChanges() : socket_(NETLINK_ROUTE) {}

void RouteChanges::change(NetlinkMessage message, Family family, bool add, std::string what) {
  // Noted before: if the kernel's answer is lost, it may be done.
  done_.push_back({.message = std::move(message), .added = add, .what = std::move(what)});
  const int errnum = send(socket_, *done_.back().message, add);
  if (errnum == 0) return;
  const Change refused = std::move(done_.back());
  done_.pop_back();
  // Somebody else took it out: what was asked for.
  if (!add && (errnum == ENOENT || errnum == ESRCH)) return;
  refuse(errnum, family, add, refused.what);
}

void RouteChanges::add(const TproxyRoute& wanted) {
  const Routing routing = list_routing(socket_, wanted.family);
  const bool has_rule =
      std::any_of(routing.rules.begin(), routing.rules.end(),
                  [&](const Found& found) { return found.exact && found.route == wanted; });
  const std::size_t before = done_.size();
  if (!has_rule) change(build_rule(wanted), wanted.family, true, rule_text(wanted));
  if (has_route(routing, wanted.table)) return;
  try {
    change(build_route(wanted), wanted.family, true, route_text(wanted));
  } catch (...) {
    while (done_.size() > before) {
      send(socket_, *done_.back().message, false);
      done_.pop_back();
    }
    throw;
  }
}

void RouteChanges::remove_owned(const std::vector<FamilyMark>& marks,
                                const std::vector<TproxyRoute>& keep) {
  for (const Family family : families) remove_owned(family, marks, keep);
}

void RouteChanges::remove_owned(Family family, const std::vector<FamilyMark>& marks,
                                const std::vector<TproxyRoute>& keep) {
  Routing routing = list_routing(socket_, family);
  std::vector<std::uint32_t> named_tables;
  std::vector<Found*> rules;
  for (Found& rule : routing.rules) {
    const bool named = is_named(rule, routing, marks);
    if (is_kept(rule, keep) || (!rule.tagged && !named)) continue;
    if (named) named_tables.push_back(rule.route.table);
    rules.push_back(&rule);
  }
  for (Found& route : routing.routes) {
    const bool named = route.exact && contains(named_tables, route.route.table);
    if (is_table_kept(route, keep) || (!route.tagged && !named)) continue;
    change(std::move(route.message), family, false, route_text(route.route));
  }
  for (Found* rule : rules) {
    change(std::move(rule->message), family, false, rule_text(rule->route));
  }
}

Notices RouteChanges::roll_back() {
  Notices failures;
  for (; !done_.empty(); done_.pop_back()) {
    const Change& change = done_.back();
    const std::string sentence =
        (change.added ? "could not take back " : "could not put back ") + change.what + ": ";
    try {
      // In the other one an answer that could not be read may still be waiting.
      NetlinkSocket socket(NETLINK_ROUTE);
      const int errnum = send(socket, *change.message, !change.added);
      const bool there_already = errnum == (change.added ? ENOENT : EEXIST) || errnum == ESRCH;
      if (errnum != 0 && !there_already) throw Error(errnum, "netlink");
    } catch (const std::exception& failure) {
      failures.push_back(sentence + failure.what());
    }
  }
  return failures;
}

}  // namespace sluice::kernel

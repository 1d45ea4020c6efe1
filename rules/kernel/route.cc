// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/route.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/msg.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <netlink/route/rule.h>

#include "rules/error.h"
#include "rules/kernel/route_dump.h"
#include "rules/text.h"

namespace sluice::kernel {
namespace {

constexpr std::uint32_t all_bits = 0xffffffff;
constexpr std::array<Family, 2> families{Family::ipv4, Family::ipv6};

template <class T, void (*free)(T*)>
struct Free {
  void operator()(T* object) const { free(object); }
};
using RuleObject = std::unique_ptr<rtnl_rule, Free<rtnl_rule, rtnl_rule_put>>;
using RouteObject = std::unique_ptr<rtnl_route, Free<rtnl_route, rtnl_route_put>>;
using AddressObject = std::unique_ptr<nl_addr, Free<nl_addr, nl_addr_put>>;

std::string rule_text(const TproxyRoute& route) {
  return std::string(to_string(route.family)) + " rule " + to_string(route);
}

std::string route_text(const TproxyRoute& route) {
  return std::string(to_string(route.family)) + " route local " +
         (route.family == Family::ipv4 ? "0.0.0.0/0" : "::/0") + " dev lo table " +
         std::to_string(route.table);
}

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

NetlinkMessage build_rule(const TproxyRoute& route) {
  const RuleObject rule(rtnl_rule_alloc());
  nl_msg* message = nullptr;
  if (rule) {
    rtnl_rule_set_family(rule.get(), family_number(route.family));
    rtnl_rule_set_action(rule.get(), FR_ACT_TO_TBL);
    rtnl_rule_set_table(rule.get(), route.table);
    rtnl_rule_set_mark(rule.get(), route.mark);
    rtnl_rule_set_mask(rule.get(), all_bits);
    rtnl_rule_set_protocol(rule.get(), route_protocol);
    rtnl_rule_build_add_request(rule.get(), 0, &message);
  }
  if (message == nullptr) throw Error(ENOMEM, "prepare " + rule_text(route));
  return NetlinkMessage(message);
}

NetlinkMessage build_route(const TproxyRoute& route) {
  const RouteObject object(rtnl_route_alloc());
  const std::array<std::uint8_t, 16> zeros{};
  const AddressObject everything(nl_addr_build(family_number(route.family), zeros.data(),
                                               route.family == Family::ipv4 ? 4 : zeros.size()));
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  nl_msg* message = nullptr;
  if (object && everything && hop != nullptr) {
    nl_addr_set_prefixlen(everything.get(), 0);
    rtnl_route_set_family(object.get(), family_number(route.family));
    rtnl_route_set_table(object.get(), route.table);
    rtnl_route_set_type(object.get(), RTN_LOCAL);
    rtnl_route_set_scope(object.get(),
                         route.family == Family::ipv4 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE);
    rtnl_route_set_protocol(object.get(), route_protocol);
    rtnl_route_set_dst(object.get(), everything.get());
    rtnl_route_nh_set_ifindex(hop, loopback_index);
    rtnl_route_add_nexthop(object.get(), std::exchange(hop, nullptr));
    rtnl_route_build_add_request(object.get(), 0, &message);
  }
  if (hop != nullptr) rtnl_route_nh_free(hop);
  if (message == nullptr) throw Error(ENOMEM, "prepare " + route_text(route));
  return NetlinkMessage(message);
}

bool is_route(const nl_msg& message) {
  const int type = nlmsg_hdr(const_cast<nl_msg*>(&message))->nlmsg_type;
  return type == RTM_NEWROUTE || type == RTM_DELROUTE;
}

// Sends the message as a request to add or to delete. Returns 0 or errno.
int send(NetlinkSocket& socket, nl_msg& message, bool add) {
  const bool route = is_route(message);
  const int add_type = route ? RTM_NEWROUTE : RTM_NEWRULE;
  const int delete_type = route ? RTM_DELROUTE : RTM_DELRULE;
  nlmsg_hdr(&message)->nlmsg_type = static_cast<std::uint16_t>(add ? add_type : delete_type);
  return socket.request(message, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
}

[[noreturn]] void refuse(int errnum, Family family, bool add, const std::string& what) {
  const std::string sentence = (add ? "add " : "remove ") + what;
  const auto unsupported = std::make_error_code(std::errc::not_supported);
  if (errnum == EAFNOSUPPORT || errnum == EOPNOTSUPP || errnum == EPROTONOSUPPORT) {
    throw Error(unsupported, sentence + ": the kernel does not offer it");
  }
  // Lacking privileges are EPERM.
  if (errnum == EACCES && family == Family::ipv6) {
    throw Error(unsupported, sentence + ": IPv6 is disabled on lo");
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

RouteChanges::RouteChanges() : socket_(NETLINK_ROUTE) {}

void RouteChanges::change(NetlinkMessage message, Family family, bool add, std::string what) {
  const int errnum = send(socket_, *message, add);
  // Somebody else took it out: what was asked for.
  if (!add && (errnum == ENOENT || errnum == ESRCH)) return;
  if (errnum != 0) refuse(errnum, family, add, what);
  done_.push_back({.message = std::move(message), .added = add, .what = std::move(what)});
}

void RouteChanges::add(const TproxyRoute& wanted) {
  const Routing routing = list_routing(socket_, wanted.family);
  const bool has_rule =
      std::any_of(routing.rules.begin(), routing.rules.end(),
                  [&](const Found& found) { return found.exact && found.route == wanted; });
  const std::size_t before = done_.size();
  if (!has_route(routing, wanted.table)) {
    change(build_route(wanted), wanted.family, true, route_text(wanted));
  }
  if (has_rule) return;
  try {
    change(build_rule(wanted), wanted.family, true, rule_text(wanted));
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
  for (const Family family : families) {
    Routing routing = list_routing(socket_, family);
    std::vector<std::uint32_t> named_tables;
    for (Found& rule : routing.rules) {
      const bool kept = rule.exact && std::find(keep.begin(), keep.end(), rule.route) != keep.end();
      const bool named = is_named(rule, routing, marks);
      if (kept || (!rule.tagged && !named)) continue;
      if (named) named_tables.push_back(rule.route.table);
      change(std::move(rule.message), family, false, rule_text(rule.route));
    }
    for (Found& route : routing.routes) {
      const std::uint32_t table = route.route.table;
      const bool kept =
          route.exact && std::any_of(keep.begin(), keep.end(), [&](const TproxyRoute& wanted) {
            return wanted.family == family && wanted.table == table;
          });
      const bool named = route.exact && std::find(named_tables.begin(), named_tables.end(),
                                                  table) != named_tables.end();
      if (kept || (!route.tagged && !named)) continue;
      change(std::move(route.message), family, false, route_text(route.route));
    }
  }
}

Notices RouteChanges::roll_back() {
  Notices failures;
  for (; !done_.empty(); done_.pop_back()) {
    const Change& change = done_.back();
    const std::string sentence =
        (change.added ? "could not take back " : "could not put back ") + change.what + ": ";
    try {
      const int errnum = send(socket_, *change.message, !change.added);
      const bool there_already = errnum == (change.added ? ENOENT : EEXIST) || errnum == ESRCH;
      if (errnum != 0 && !there_already) throw Error(errnum, "netlink");
    } catch (const std::exception& failure) {
      failures.push_back(sentence + failure.what());
    }
  }
  return failures;
}

}  // namespace sluice::kernel

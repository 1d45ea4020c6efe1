// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/route_message.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <netlink/route/rule.h>

#include "rules/error.h"
#include "rules/kernel/link.h"
#include "rules/kernel/route.h"
#include "rules/text.h"

namespace sluice::kernel {
namespace {

template <class T, void (*free)(T*)>
struct Free {
  void operator()(T* object) const { free(object); }
};
using RuleObject = std::unique_ptr<rtnl_rule, Free<rtnl_rule, rtnl_rule_put>>;
using RouteObject = std::unique_ptr<rtnl_route, Free<rtnl_route, rtnl_route_put>>;
using AddressObject = std::unique_ptr<nl_addr, Free<nl_addr, nl_addr_put>>;

std::uint8_t family_number(Family family) {
  return family == Family::ipv4 ? AF_INET : AF_INET6;
}

// The attributes of a message by their type. The limit is far above what any kernel has.
struct Attributes {
  static constexpr int limit = 64;
  std::array<nlattr*, limit + 1> by_type{};

  bool has(int type) const { return by_type.at(static_cast<std::size_t>(type)) != nullptr; }
  std::optional<std::uint32_t> number(int type) const {
    nlattr* attribute = by_type.at(static_cast<std::size_t>(type));
    if (attribute == nullptr) return std::nullopt;
    if (nla_len(attribute) == 1) return nla_get_u8(attribute);
    if (nla_len(attribute) == 4) return nla_get_u32(attribute);
    return std::nullopt;
  }
  // Whether there is none but these.
  template <std::size_t n>
  bool only(const std::array<int, n>& allowed) const {
    for (int type = 1; type <= limit; ++type) {
      if (has(type) && std::find(allowed.begin(), allowed.end(), type) == allowed.end()) {
        return false;
      }
    }
    return true;
  }
};

// The header of `message`, nullptr if it is too short for it.
template <class Header>
const Header* parse(nl_msg& message, Attributes& attributes) {
  nlmsghdr* header = nlmsg_hdr(&message);
  if (nlmsg_parse(header, sizeof(Header), attributes.by_type.data(), Attributes::limit, nullptr) !=
      0) {
    return nullptr;
  }
  return static_cast<const Header*>(nlmsg_data(header));
}

// libnl's own object of an ip rule would not do: it hides an inverted rule, a range of UIDs and
// other selectors.
std::optional<Found> read_rule(NetlinkMessage message, Family family) {
  Attributes attributes;
  const auto* header = parse<fib_rule_hdr>(*message, attributes);
  if (header == nullptr || header->family != family_number(family)) return std::nullopt;
  static constexpr std::array<int, 7> allowed{FRA_TABLE,  FRA_PRIORITY, FRA_FWMARK,
                                              FRA_FWMASK, FRA_PROTOCOL, FRA_SUPPRESS_PREFIXLEN,
                                              FRA_PAD};
  const std::uint32_t mark = attributes.number(FRA_FWMARK).value_or(0);
  const std::uint32_t table = attributes.number(FRA_TABLE).value_or(header->table);
  Found found{.route = {.family = family, .mark = mark, .table = table}};
  found.tagged = attributes.number(FRA_PROTOCOL) == route_protocol;
  found.exact = header->action == FR_ACT_TO_TBL && header->flags == 0 && header->dst_len == 0 &&
                header->src_len == 0 && header->tos == 0 && mark != 0 &&
                attributes.number(FRA_FWMASK) == all_bits &&
                attributes.number(FRA_SUPPRESS_PREFIXLEN).value_or(all_bits) == all_bits &&
                attributes.only(allowed);
  found.message = std::move(message);
  return found;
}

std::optional<Found> read_route(NetlinkMessage message, Family family) {
  Attributes attributes;
  const auto* header = parse<rtmsg>(*message, attributes);
  if (header == nullptr || header->rtm_family != family_number(family)) return std::nullopt;
  // The kernel adds a metric, a preference and an age of its own to IPv6 routes.
  static constexpr std::array<int, 5> allowed{RTA_TABLE, RTA_OIF, RTA_PRIORITY, RTA_PREF,
                                              RTA_CACHEINFO};
  const std::uint32_t table = attributes.number(RTA_TABLE).value_or(header->rtm_table);
  const std::uint32_t metric = family == Family::ipv4 ? 0 : 1024;  // IP6_RT_PRIO_USER
  Found found{.route = {.family = family, .mark = 0, .table = table}};
  found.tagged = header->rtm_protocol == route_protocol;
  found.exact = header->rtm_type == RTN_LOCAL && header->rtm_dst_len == 0 &&
                header->rtm_src_len == 0 && header->rtm_tos == 0 &&
                attributes.number(RTA_OIF) == loopback_index &&
                attributes.number(RTA_PRIORITY).value_or(0) == metric && attributes.only(allowed);
  found.message = std::move(message);
  return found;
}

// By which a kernel says that it has no such family, or nothing of what is asked for.
bool says_nothing_there(int errnum) {
  return errnum == EAFNOSUPPORT || errnum == EOPNOTSUPP || errnum == EPROTONOSUPPORT ||
         errnum == ENOENT;
}

std::vector<NetlinkMessage> dump(NetlinkSocket& socket, nl_msg& request, Family family,
                                 const char* what) {
  std::vector<NetlinkMessage> all;
  const int errnum = socket.dump(request, all);
  if (errnum != 0 && !says_nothing_there(errnum)) {
    throw Error(errnum, std::string("list the ") + to_string(family) + " " + what);
  }
  return all;
}

std::vector<Found> list_rules(NetlinkSocket& socket, Family family) {
  const NetlinkMessage request = make_message(RTM_GETRULE);
  fib_rule_hdr header{};
  header.family = family_number(family);
  append(*request, &header, sizeof header);
  std::vector<Found> all;
  for (NetlinkMessage& message : dump(socket, *request, family, "rules")) {
    std::optional<Found> found = read_rule(std::move(message), family);
    if (found && (found->exact || found->tagged)) all.push_back(*std::move(found));
  }
  return all;
}

std::vector<Found> list_routes(NetlinkSocket& socket, Family family) {
  const NetlinkMessage request = make_message(RTM_GETROUTE);
  rtmsg header{};
  header.rtm_family = family_number(family);
  header.rtm_type = RTN_LOCAL;
  append(*request, &header, sizeof header);
  std::vector<Found> all;
  for (NetlinkMessage& message : dump(socket, *request, family, "routes")) {
    std::optional<Found> found = read_route(std::move(message), family);
    if (found && (found->exact || found->tagged)) all.push_back(*std::move(found));
  }
  return all;
}

bool is_route(nl_msg& message) {
  const int type = nlmsg_hdr(&message)->nlmsg_type;
  return type == RTM_NEWROUTE || type == RTM_DELROUTE;
}

}  // namespace

std::string rule_text(const TproxyRoute& route) {
  return std::string(to_string(route.family)) + " rule " + to_string(route);
}

std::string route_text(const TproxyRoute& route) {
  return std::string(to_string(route.family)) + " route local " +
         (route.family == Family::ipv4 ? "0.0.0.0/0" : "::/0") + " dev lo table " +
         std::to_string(route.table);
}

Routing list_routing(NetlinkSocket& socket, Family family) {
  return {.rules = list_rules(socket, family), .routes = list_routes(socket, family)};
}

bool lists_tagged_rule(NetlinkSocket& socket) {
  const NetlinkMessage request = make_message(RTM_GETRULE);
  const fib_rule_hdr all_families{};
  append(*request, &all_families, sizeof all_families);
  std::vector<NetlinkMessage> found;
  const int errnum = socket.dump(*request, found);
  if (errnum != 0 && !says_nothing_there(errnum)) throw Error(errnum, "list the rules of routing");
  return std::any_of(found.begin(), found.end(), [](const NetlinkMessage& message) {
    Attributes attributes;
    return parse<fib_rule_hdr>(*message, attributes) != nullptr &&
           attributes.number(FRA_PROTOCOL) == route_protocol;
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
    rtnl_route_nh_set_ifindex(hop, static_cast<int>(loopback_index));
    rtnl_route_add_nexthop(object.get(), std::exchange(hop, nullptr));
    rtnl_route_build_add_request(object.get(), 0, &message);
  }
  if (hop != nullptr) rtnl_route_nh_free(hop);
  if (message == nullptr) throw Error(ENOMEM, "prepare " + route_text(route));
  return NetlinkMessage(message);
}

int send(NetlinkSocket& socket, nl_msg& message, bool add) {
  const bool route = is_route(message);
  const int add_type = route ? RTM_NEWROUTE : RTM_NEWRULE;
  const int delete_type = route ? RTM_DELROUTE : RTM_DELRULE;
  nlmsg_hdr(&message)->nlmsg_type = static_cast<std::uint16_t>(add ? add_type : delete_type);
  return socket.request(message, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
}

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// The ip rules and routes of mode tproxy as rtnetlink(7) messages. Part of the implementation of
// route.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rules/backend.h"
#include "rules/kernel/netlink.h"

namespace sluice::kernel {

// An ip rule or a route as the kernel showed it; sent back it names exactly this one.
struct Found {
  TproxyRoute route;   // what it is or would be a part of
  bool exact = false;  // it is as we write it, but for the protocol
  bool tagged = false;
  NetlinkMessage message = nullptr;
};

struct Routing {
  std::vector<Found> rules;
  std::vector<Found> routes;
};

// For messages: "IPv4 rule fwmark 0x539 lookup 133", "IPv4 route local 0.0.0.0/0 dev lo table 133".
std::string rule_text(const TproxyRoute& route);
std::string route_text(const TproxyRoute& route);

// What one family has that is as we write it or carries our protocol; nothing if the kernel lacks
// the family. Throws Error.
Routing list_routing(NetlinkSocket& socket, Family family);

// Whether any ip rule, of whichever family, carries our protocol. Throws Error.
bool lists_tagged_rule(NetlinkSocket& socket);

// For send(). Throws Error (ENOMEM).
NetlinkMessage build_rule(const TproxyRoute& route);
NetlinkMessage build_route(const TproxyRoute& route);

// Sends the message, built or found, as a request to add or to delete. Returns 0 or errno. Throws
// Error if there was no answer.
int send(NetlinkSocket& socket, nl_msg& message, bool add);

}  // namespace sluice::kernel

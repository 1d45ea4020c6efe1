// SPDX-License-Identifier: GPL-2.0-or-later
// The ip rules and local routes of a network namespace, as far as they may be ours. Part of the
// implementation of route.h.
#pragma once

#include <cstdint>
#include <vector>

#include "rules/backend.h"
#include "rules/ip.h"
#include "rules/kernel/netlink.h"

namespace sluice::kernel {

// lo is the first interface of every network namespace (LOOPBACK_IFINDEX in the kernel).
inline constexpr int loopback_index = 1;

// AF_INET, AF_INET6.
std::uint8_t family_number(Family family);

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

// Those that are exactly as we write them, or carry our number. Throws Error.
Routing list_routing(NetlinkSocket& socket, Family family);

}  // namespace sluice::kernel

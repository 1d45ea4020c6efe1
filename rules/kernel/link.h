// SPDX-License-Identifier: GPL-2.0-or-later
// Interfaces and addresses of the calling thread's network namespace through netdevice(7), ipv6(7)
// and proc(5): a netlink dump costs several times as much, and ADD needs only one interface.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rules/backend.h"
#include "rules/ip.h"

namespace sluice::kernel {

// lo is the first interface of every network namespace (LOOPBACK_IFINDEX in the kernel).
inline constexpr unsigned loopback_index = 1;

// All interfaces. Throws Error.
std::vector<Link> list_links();

// The interface `name`, nothing if there is none. Throws Error.
std::optional<Link> find_link(const std::string& name);

// Whether lo can have IPv6 addresses: the kernel has IPv6, net.ipv6.conf.lo.disable_ipv6 is 0.
bool loopback_has_ipv6();

// The IPv6 addresses of the interface `name` with their prefix lengths; empty if the kernel has no
// IPv6. Throws Error.
std::vector<Cidr> ipv6_addresses(const std::string& name);

// The same of all interfaces, by name.
std::multimap<std::string, Cidr, std::less<>> all_ipv6_addresses();

enum class AddressChange {
  done,
  unchanged,    // it was there already, or was not there
  unsupported,  // the kernel has no IPv6, or it is disabled on lo
};

// Adds the IPv6 address `cidr` to lo, or takes it out. Throws Error for anything but the outcomes
// above.
AddressChange add_loopback_address(const Cidr& cidr);
AddressChange remove_loopback_address(const Cidr& cidr);

}  // namespace sluice::kernel

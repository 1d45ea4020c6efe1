// SPDX-License-Identifier: GPL-2.0-or-later
// The policy routing of mode tproxy in the calling thread's network namespace: ip-rule(8),
// ip-route(8), rtnetlink(7), linux/fib_rules.h.
//
// What we add carries our routing protocol number, so that it is found again even where the rules
// are gone. What Istio's init container added does not: that is ours as far as the mark of our
// live rules names it, as the ip rule `fwmark MARK lookup TABLE` without any other selector and,
// in its table, the route `local default dev lo`. Everything else is somebody else's.
#pragma once

#include <cstdint>
#include <vector>

#include "rules/backend.h"
#include "rules/ip.h"
#include "rules/kernel/netlink.h"

namespace sluice::kernel {

// Our number: 'S'. Not taken in iproute2's rt_protos or linux/rtnetlink.h. Kernels before 4.17 do
// not keep it for ip rules.
inline constexpr std::uint8_t route_protocol = 83;

// The mark that one family's live rules name (tproxy_mark.h).
struct FamilyMark {
  Family family = Family::ipv4;
  std::uint32_t mark = 0;
};

// What is ours and whole, an ip rule with its route, in the order of the families and the rules.
// A family that the kernel lacks has nothing. Throws Error.
std::vector<TproxyRoute> owned_tproxy_routes(const std::vector<FamilyMark>& marks);

// Whether there is an ip rule with our number, which is cheaper to see than all lists. Where there
// is none, nothing of ours is left: an ip rule is added before its route and taken out after it.
// But for a route that was added to somebody else's ip rule, and kernels before 4.17. Throws Error.
bool has_tagged_rule();

// Changes policy routing and remembers what it changed.
class RouteChanges {
 public:
  // Throws Error.
  RouteChanges();

  // Adds the ip rule and the route, as far as there are none equal to them, whoever added those.
  // Throws Error, with nothing of it left behind unless the kernel's answer was lost, which
  // roll_back() is for: ENOTSUP if the kernel lacks IPv6 or policy
  // routing or IPv6 is disabled on lo, ENETDOWN (IPv6 only) if lo is down, EEXIST if the table has
  // another default route, else the errno.
  void add(const TproxyRoute& wanted);

  // Takes out all that is ours but what `keep` consists of, halves too. Throws Error.
  void remove_owned(const std::vector<FamilyMark>& marks, const std::vector<TproxyRoute>& keep);

  // Puts everything back, the last change first. Returns what could not be.
  Notices roll_back();

 private:
  struct Change {
    NetlinkMessage message;
    bool added = false;
    std::string what;
  };

  void remove_owned(Family family, const std::vector<FamilyMark>& marks,
                    const std::vector<TproxyRoute>& keep);
  void change(NetlinkMessage message, Family family, bool add, std::string what);

  NetlinkSocket socket_;
  std::vector<Change> done_;
};

}  // namespace sluice::kernel

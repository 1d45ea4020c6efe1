// SPDX-License-Identifier: GPL-2.0-or-later
// Processes of the pod that send to the socket by which routes are read and written.
#include "rules/kernel/netlink.h"

#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <string>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "rules/error.h"
#include "tests/kernel/child.h"
#include "tests/kernel/flood.h"
#include "tests/kernel/refusal.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

// The kernel's answer to a change of lo that changes nothing.
int ask(NetlinkSocket& socket) {
  const NetlinkMessage message = make_message(RTM_NEWLINK);
  ifinfomsg header{};
  header.ifi_index = 1;
  append(*message, &header, sizeof header);
  return socket.request(*message, 0);
}

TEST_CASE("strangers cannot send to the socket of routes") {
  const TestNetns netns;
  netns.inside([] {
    NetlinkSocket socket(NETLINK_ROUTE);
    CHECK(flood(NETLINK_ROUTE, netlink_ports(NETLINK_ROUTE).at(0)) == ECONNREFUSED);
    CHECK(ask(socket) == 0);
  });
}

TEST_CASE("where they can, an answer that had no room is an error, not a wait") {
  const TestNetns netns;
  CHECK(in_child([&] {
          refuse(SYS_connect, {}, EPERM);
          std::string said;
          netns.inside([&] {
            NetlinkSocket socket(NETLINK_ROUTE);
            const auto begin = std::chrono::steady_clock::now();
            if (flood(NETLINK_ROUTE, netlink_ports(NETLINK_ROUTE).at(0)) != EAGAIN) {
              said = "not flooded";
              return;
            }
            try {
              ask(socket);
              said = "answered";
            } catch (const Error& error) {
              said = error.what();
            }
            if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(4))
              said += ", slow";
          });
          return said;
        }) == "read from netlink: No buffer space available");
}

}  // namespace
}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// Processes of the pod that send to the socket by which routes are read and written.
#include "rules/kernel/netlink.h"

#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "rules/error.h"
#include "rules/interruption.h"
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
          });
          return said;
        }) == "read from netlink: No buffer space available");
}

// In a child whose requests get lost.
std::string ask_in_vain(const TestNetns& netns) {
  return in_child([&] {
    // "Sent", without sending anything.
    refuse(SYS_sendmsg, {}, 0);
    std::string said = "answered";
    netns.inside([&] {
      NetlinkSocket socket(NETLINK_ROUTE);
      try {
        ask(socket);
      } catch (const Error& error) {
        said = error.what();
      }
    });
    return said;
  });
}

TEST_CASE("an answer of routes that never comes is an error after a second") {
  const TestNetns netns;
  const auto begin = std::chrono::steady_clock::now();
  CHECK(ask_in_vain(netns) == "read from netlink: Connection timed out");
  const auto taken = std::chrono::steady_clock::now() - begin;
  CHECK(taken > std::chrono::milliseconds(900));
  CHECK(taken < std::chrono::seconds(5));
}

TEST_CASE("waiting for an answer of routes ends with the program's deadline") {
  const TestNetns netns;
  set_interruption([]() -> std::optional<Error> { return Error("out of time"); });
  CHECK(ask_in_vain(netns) == "out of time");
  set_interruption(nullptr);
}

}  // namespace
}  // namespace sluice::kernel

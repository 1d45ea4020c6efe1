// SPDX-License-Identifier: GPL-2.0-or-later
// What keeps a node from redirecting pods.
#include "rules/kernel/readiness.h"

#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>
#include <string>

#include <linux/capability.h>
#include <linux/netfilter_ipv4/ip_tables.h>

#include "tests/kernel/child.h"
#include "tests/kernel/nft_netns.h"
#include "tests/kernel/refusal.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

// In a namespace that stands for the node's.
std::string obstacle_after(const std::function<void()>& weaken, BackendChoice choice,
                           const TestNetns& node = TestNetns()) {
  return in_child([&] {
    if (setns(node.fd(), CLONE_NEWNET) != 0) return std::string("setns");
    weaken();
    return obstacle({.choice = choice});
  });
}

void refuse_xtables() {
  refuse(SYS_getsockopt, {{.index = 2, .value = IPT_SO_GET_REVISION_MATCH}}, ENOENT);
}

void refuse_nftables() {
  refuse(SYS_socket, {{.index = 0, .value = AF_NETLINK}}, EPROTONOSUPPORT);
}

TEST_CASE("a node without an obstacle is left as it is", "[readiness]") {
  for (const auto choice :
       {BackendChoice::automatic, BackendChoice::xtables, BackendChoice::nftables}) {
    const TestNetns node;
    CHECK(obstacle_after([] {}, choice, node) == nothing);
    CHECK(node.proc_net("ip_tables_names") == nothing);
    CHECK(node.must({"nft", "list", "ruleset"}) == nothing);
    CHECK(nft_generation(node) == 1);
  }
}

TEST_CASE("a capability that is missing is an obstacle", "[readiness]") {
  const auto choice =
      GENERATE(BackendChoice::automatic, BackendChoice::xtables, BackendChoice::nftables);
  CHECK(obstacle_after([] { drop_capability(CAP_SYS_ADMIN); }, choice) ==
        "capability CAP_SYS_ADMIN is missing");
  CHECK(obstacle_after([] { drop_capability(CAP_NET_ADMIN); }, choice) ==
        "capability CAP_NET_ADMIN is missing");
  const std::string without_raw = obstacle_after([] { drop_capability(CAP_NET_RAW); }, choice);
  if (choice == BackendChoice::nftables) {
    CHECK(without_raw == nothing);
  } else {
    CHECK_THAT(without_raw, Catch::Contains("CAP_NET_RAW"));
  }
}

TEST_CASE("a kernel without the backend that is asked for is an obstacle", "[readiness]") {
  const auto neither = [] {
    refuse_xtables();
    refuse_nftables();
  };
  CHECK_THAT(obstacle_after(neither, BackendChoice::automatic),
             Catch::StartsWith("the kernel offers neither x_tables"));
  CHECK(obstacle_after(refuse_xtables, BackendChoice::automatic) == nothing);
  CHECK(obstacle_after(refuse_nftables, BackendChoice::automatic) == nothing);
  CHECK_THAT(obstacle_after(refuse_xtables, BackendChoice::xtables),
             Catch::StartsWith("backend \"xtables\" is asked for"));
  CHECK_THAT(obstacle_after(refuse_nftables, BackendChoice::nftables),
             Catch::StartsWith("backend \"nftables\" is asked for"));
}

}  // namespace
}  // namespace sluice::kernel

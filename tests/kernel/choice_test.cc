// SPDX-License-Identifier: GPL-2.0-or-later
// Which interface is chosen, and that asking creates nothing.
#include "rules/kernel/choice.h"

#include <sys/socket.h>
#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <string>
#include <vector>

#include <linux/capability.h>
#include <linux/netfilter_ipv4/ip_tables.h>

#include "rules/error.h"
#include "rules/kernel/pod_backend.h"
#include "rules/kernel/pod_namespace.h"
#include "rules/kernel/xt/offered.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/refusal.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

struct Kernel {
  bool xtables = true;
  bool nftables = true;
};

struct Holding {
  bool xtables = false;
  bool nftables = false;
};

ChoiceFacts facts_of(BackendChoice setting, Kernel kernel, Holding holding = {},
                     bool foreign = false) {
  return {.setting = setting,
          .foreign_user_namespace = foreign,
          .xtables_offered = [=] { return kernel.xtables; },
          .nftables_offered = [=] { return kernel.nftables; },
          .xtables_holds_ours = [=] { return holding.xtables; },
          .nftables_holds_ours = [=] { return holding.nftables; }};
}

constexpr auto automatic = BackendChoice::automatic;
constexpr auto xtables = BackendChoice::xtables;
constexpr auto nftables = BackendChoice::nftables;

TEST_CASE("x_tables is chosen where the kernel offers it, else nf_tables", "[choice]") {
  CHECK(choose(facts_of(automatic, {})) ==
        Choice{.backend = xtables, .reason = "the kernel offers it"});
  CHECK(choose(facts_of(automatic, {.nftables = false})).backend == xtables);
  CHECK(choose(facts_of(automatic, {.xtables = false})) ==
        Choice{.backend = nftables, .reason = "the kernel does not offer x_tables"});
}

TEST_CASE("rules that are there keep their interface", "[choice]") {
  CHECK(choose(facts_of(automatic, {}, {.nftables = true})) ==
        Choice{.backend = nftables, .reason = "its rules are there already"});
  CHECK(choose(facts_of(automatic, {}, {.xtables = true})).backend == xtables);
  const Choice both = choose(facts_of(automatic, {}, {.xtables = true, .nftables = true}));
  CHECK(both.backend == xtables);
  CHECK_THAT(both.reason, Catch::Contains("through both interfaces"));
}

TEST_CASE("a setting decides whatever is there", "[choice]") {
  const bool foreign = GENERATE(false, true);
  for (const BackendChoice setting : {xtables, nftables}) {
    for (const Holding holding : {Holding{.xtables = true}, Holding{.nftables = true}}) {
      CHECK(choose(facts_of(setting, {}, holding, foreign)) ==
            Choice{.backend = setting, .reason = "the settings ask for it"});
    }
  }
}

TEST_CASE("a user namespace of the pod's own is for nf_tables", "[choice]") {
  CHECK(choose(facts_of(automatic, {}, {.xtables = true}, true)) ==
        Choice{.backend = nftables, .reason = "the pod has a user namespace of its own"});
  const Choice second = choose(facts_of(automatic, {.nftables = false}, {}, true));
  CHECK(second.backend == xtables);
  CHECK_THAT(second.reason, Catch::EndsWith("does not offer nf_tables"));
}

TEST_CASE("what the kernel does not offer is not chosen and named", "[choice]") {
  const auto refused = [](const ChoiceFacts& facts) {
    try {
      choose(facts);
    } catch (const Error& error) {
      CHECK(error.code() == std::errc::not_supported);
      return std::string(error.what());
    }
    return std::string("chosen");
  };
  const Kernel nothing_at_all{.xtables = false, .nftables = false};
  for (const bool foreign : {false, true}) {
    CHECK_THAT(refused(facts_of(automatic, nothing_at_all, {}, foreign)),
               Catch::Contains("iptable_nat") && Catch::Contains("nf_tables"));
  }
  CHECK_THAT(refused(facts_of(xtables, {.xtables = false})),
             Catch::Contains("\"xtables\"") && Catch::Contains("ip_tables"));
  CHECK_THAT(refused(facts_of(nftables, {.nftables = false})),
             Catch::Contains("\"nftables\"") && Catch::Contains("nft_redir"));
}

TEST_CASE("an ADD into an empty pod asks two questions", "[choice]") {
  int asked = 0;
  ChoiceFacts facts = facts_of(automatic, {});
  facts.nftables_offered = [&] { return ++asked != 0; };
  facts.xtables_holds_ours = facts.nftables_offered;
  CHECK(choose(facts).backend == xtables);
  CHECK(asked == 0);
}

std::string tables_of(const TestNetns& netns) {
  return netns.proc_net("ip_tables_names") + netns.proc_net("ip6_tables_names");
}

TEST_CASE("asking whether x_tables is offered creates no table", "[choice]") {
  const Family family = GENERATE(Family::ipv4, Family::ipv6);
  const TestNetns netns;
  netns.inside([&] { CHECK(xt::is_offered(family)); });
  CHECK(tables_of(netns) == nothing);
}

TEST_CASE("x_tables without a match or target is not offered", "[choice]") {
  const int option = GENERATE(IPT_SO_GET_REVISION_MATCH, IPT_SO_GET_REVISION_TARGET);
  const int errnum = GENERATE(ENOPROTOOPT, ENOENT, EPROTONOSUPPORT);
  CHECK(in_child([&] {
          refuse(SYS_getsockopt, {{.index = 2, .value = static_cast<std::uint32_t>(option)}},
                 errnum);
          return std::string(xt::is_offered(Family::ipv4) ? "offered" : "not offered");
        }) == "not offered");
}

TEST_CASE("a family that the kernel lacks has no x_tables", "[choice]") {
  CHECK(in_child([] {
          refuse(SYS_socket, {{.index = 0, .value = AF_INET6}}, EAFNOSUPPORT);
          return std::string(xt::is_offered(Family::ipv6) ? "offered" : "not offered");
        }) == "not offered");
}

TEST_CASE("who may not ask is told so", "[choice]") {
  const int capability = GENERATE(CAP_NET_ADMIN, CAP_NET_RAW);
  CHECK_THAT(in_child([&] {
               drop_capability(capability);
               try {
                 xt::is_offered(Family::ipv4);
               } catch (const Error& error) {
                 return std::string(error.what());
               }
               return std::string("asked");
             }),
             Catch::EndsWith(std::string(capability == CAP_NET_RAW ? "(needs CAP_NET_RAW)"
                                                                   : "(needs CAP_NET_ADMIN)") +
                             ": Operation not permitted"));
}

TEST_CASE("the choice in a namespace creates no table and stays", "[choice]") {
  TestNetns netns;
  OpenedNamespace opened = open_pod_namespace(netns.path());
  PodNamespace& pod = *std::get<std::unique_ptr<PodNamespace>>(opened);
  Backend& backend = pod.backend({});
  CHECK(std::string(backend.name()) == "xtables");
  CHECK(backend.reason() == "the kernel offers it");
  CHECK(tables_of(netns) == nothing);
  CHECK(&pod.backend({.choice = nftables}) == &backend);
  CHECK(backend.read().rulesets.size() == 2);
  CHECK(tables_of(netns) == nothing);
}

TEST_CASE("a kernel with neither interface is an error before anything is written", "[choice]") {
  const TestNetns netns;
  CHECK_THAT(in_child([&] {
               refuse(SYS_getsockopt, {{.index = 2, .value = IPT_SO_GET_REVISION_MATCH}}, ENOENT);
               refuse(SYS_socket, {{.index = 0, .value = AF_NETLINK}}, EPROTONOSUPPORT);
               try {
                 return choose_in(netns.netns(), {}).reason;
               } catch (const Error& error) {
                 return std::string(error.what());
               }
             }),
             Catch::StartsWith("the kernel offers neither x_tables"));
}

}  // namespace
}  // namespace sluice::kernel

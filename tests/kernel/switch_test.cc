// SPDX-License-Identifier: GPL-2.0-or-later
// A namespace whose rules change from one of the kernel's interfaces to the other.
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "rules/diff.h"
#include "rules/error.h"
#include "rules/kernel/nft/tables.h"
#include "rules/kernel/pod_backend.h"
#include "rules/kernel/pod_namespace.h"
#include "rules/kernel/xt/tables.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

using Direction = std::pair<BackendChoice, BackendChoice>;

const Direction to_nftables{BackendChoice::xtables, BackendChoice::nftables};
const Direction to_xtables{BackendChoice::nftables, BackendChoice::xtables};

PodBackend backend_of(const TestNetns& netns, BackendChoice choice) {
  return {netns.netns(), {.backend = choice}, "sluice"};
}

// Whether each interface holds anything of ours.
struct Held {
  bool xtables = false;
  bool nftables = false;

  bool operator==(const Held&) const = default;
};

Held held(const TestNetns& netns) {
  Held found;
  netns.inside([&] {
    found = {.xtables = xt::Tables().holds_ours(),
             .nftables = nft::make_tables("sluice")->holds_ours()};
  });
  return found;
}

// One interface is written and the other one not emptied, as by one who was killed meanwhile.
void break_off(const TestNetns& netns, BackendChoice choice, const Interception& wanted) {
  netns.inside([&] {
    if (choice == BackendChoice::xtables) xt::Tables().write(wanted);
    if (choice == BackendChoice::nftables) nft::make_tables("sluice")->write(wanted);
  });
}

TEST_CASE("who writes through one interface empties the other", "[switch]") {
  const Direction direction = GENERATE(to_nftables, to_xtables);
  TestNetns netns;
  PodBackend before = backend_of(netns, direction.first);
  PodBackend after = backend_of(netns, direction.second);
  CHECK(after.read().rulesets ==
        std::vector<Ruleset>{{.family = Family::ipv4}, {.family = Family::ipv6}});
  const Interception wanted = both_families(small_config());
  before.apply(wanted);
  CHECK(diff(wanted, after.read()).empty());
  after.apply(wanted);
  CHECK(held(netns) ==
        Held{.xtables = direction == to_xtables, .nftables = direction == to_nftables});
  CHECK(diff(wanted, after.read()).empty());
  after.remove();
  CHECK(held(netns) == Held{});
  CHECK(diff(Interception{}, before.read()).empty());
}

TEST_CASE("a switch that was broken off is seen, mended and taken out", "[switch]") {
  const Direction direction = GENERATE(to_nftables, to_xtables);
  TestNetns netns;
  const Interception wanted = both_families(small_config());
  backend_of(netns, direction.first).apply(wanted);
  break_off(netns, direction.second, wanted);
  REQUIRE(held(netns) == Held{.xtables = true, .nftables = true});
  CHECK(choose_in(netns.netns(), {}).backend == BackendChoice::xtables);
  for (const BackendChoice choice : {direction.first, direction.second}) {
    CHECK_FALSE(diff(wanted, backend_of(netns, choice).read()).empty());
  }
  SECTION("mended") {
    backend_of(netns, direction.second).apply(wanted);
    CHECK(diff(wanted, backend_of(netns, direction.first).read()).empty());
  }
  SECTION("taken out") {
    backend_of(netns, direction.first).remove();
    CHECK(held(netns) == Held{});
  }
}

TEST_CASE("rules that are in nftables stay there", "[switch]") {
  TestNetns netns;
  CHECK(choose_in(netns.netns(), {}).backend == BackendChoice::xtables);
  backend_of(netns, BackendChoice::nftables).apply(both_families(small_config()));
  const Choice choice = choose_in(netns.netns(), {});
  CHECK(choice.backend == BackendChoice::nftables);
  CHECK(choice.reason == "its rules are there already");
  CHECK(netns.proc_net("ip_tables_names") == nothing);
}

TEST_CASE("a firewall that has a chain with a name of ours is left alone", "[switch]") {
  TestNetns netns;
  netns.must({"nft", "-f", "-"},
             "table inet filter {\n chain input { type filter hook input priority 0; policy drop; "
             "tcp dport 22 accept\n }\n chain ISTIO_OUTPUT { counter return\n }\n}\n");
  const std::string before = netns.must({"nft", "list", "ruleset"});
  CHECK(choose_in(netns.netns(), {}).reason == "the kernel offers it");
  const BackendChoice choice = GENERATE(BackendChoice::xtables, BackendChoice::nftables);
  PodBackend backend = backend_of(netns, choice);
  const Interception wanted = both_families(small_config());
  const auto is_told = [](const Notices& notices) {
    return notices.size() == 1 && notices.front().find("table \"filter\"") == 0;
  };
  CHECK(diff(Interception{}, backend.read()).empty());
  CHECK(is_told(backend.apply(wanted)));
  CHECK(diff(wanted, backend.read()).empty());
  CHECK(is_told(backend.remove()));
  CHECK(held(netns) == Held{});
  CHECK(difference(before, netns.must({"nft", "list", "ruleset"})) == nothing);
}

TEST_CASE("a switch that fails leaves the rules where they were", "[switch]") {
  TestNetns netns;
  const Interception wanted = both_families(small_config());
  backend_of(netns, BackendChoice::nftables).apply(wanted);
  Interception refused = wanted;
  // There is no owner to match on what comes in.
  find_chain(refused.rulesets.at(1).tables.at(0), "PREROUTING")
      ->rules.push_back({.matches = {Owner{.uid = OwnerRange{.first = 1, .last = 1}}},
                         .target = Jump{"ISTIO_INBOUND"}});
  CHECK_THROWS_AS(backend_of(netns, BackendChoice::xtables).apply(refused), Error);
  CHECK(held(netns) == Held{.nftables = true});
  CHECK(diff(wanted, backend_of(netns, BackendChoice::nftables).read()).empty());
}

TEST_CASE("a pinned backend that is not the one in use takes over", "[switch]") {
  TestNetns netns;
  const Interception wanted = ipv4_only(small_config());
  backend_of(netns, BackendChoice::xtables).apply(wanted);
  OpenedNamespace opened = open_pod_namespace(netns.path());
  PodNamespace& pod = *std::get<std::unique_ptr<PodNamespace>>(opened);
  pod.backend({.choice = BackendChoice::nftables}).apply(wanted);
  CHECK(held(netns) == Held{.nftables = true});
}

}  // namespace
}  // namespace sluice::kernel

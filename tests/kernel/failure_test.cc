// SPDX-License-Identifier: GPL-2.0-or-later
// When the kernel refuses: what was there before is there again, and the error says what failed.
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include <linux/capability.h>
#include <linux/sockios.h>

#include "rules/diff.h"
#include "rules/error.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/foreign.h"
#include "tests/kernel/nft_netns.h"
#include "tests/kernel/refusal.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

// With a rule in one family that the kernel refuses (EINVAL): there is no owner to match on what
// comes in.
Interception with_refused_rule(const RedirectConfig& config, Family family) {
  Interception wanted = both_families(config);
  TableRules& nat = wanted.rulesets.at(family == Family::ipv4 ? 0 : 1).tables.at(0);
  find_chain(nat, "PREROUTING")
      ->rules.push_back({.matches = {Owner{.uid = OwnerRange{.first = 1, .last = 1}}},
                         .target = Jump{"ISTIO_INBOUND"}});
  return wanted;
}

// What apply says in a child that `weaken` has made weaker: its notices, or "errno N: message".
std::string apply_in_child(TestNetns& netns, const Interception& wanted,
                           const std::function<void()>& weaken) {
  return in_child([&] {
    weaken();
    try {
      std::string notices;
      for (const std::string& notice : netns.backend().apply(wanted)) notices += notice + "\n";
      return notices;
    } catch (const Error& error) {
      return "errno " + std::to_string(error.code().default_error_condition().value()) + ": " +
             error.what();
    }
  });
}

std::string counted_state(const TestNetns& netns) {
  return counted_rules(netns, Family::ipv4) + counted_rules(netns, Family::ipv6) +
         netns.addresses();
}

// The tables are there in every case: creating one is not undone.
void create_nat(const TestNetns& netns) {
  netns.must({"iptables-legacy-save", "-t", "nat"});
  netns.must({"ip6tables-legacy-save", "-t", "nat"});
}

TEST_CASE("a refused rule of either family leaves everything as it was") {
  const Family refused = GENERATE(Family::ipv4, Family::ipv6);
  const int earlier = GENERATE(0, 1, 2);
  INFO(to_string(refused) << ", before it " << earlier);
  TestNetns netns;
  create_nat(netns);
  add_foreign_rules(netns, Family::ipv4);
  add_foreign_rules(netns, Family::ipv6);
  if (earlier == 1) netns.backend().apply(ipv4_only(small_config()));
  if (earlier == 2) netns.backend().apply(both_families(small_config()));
  const std::string before = counted_state(netns);
  const Interception live = netns.backend().read();
  try {
    netns.backend().apply(with_refused_rule(large_config(), refused));
    FAIL("the kernel took the rule");
  } catch (const Error& error) {
    CHECK(error.code() == std::errc::invalid_argument);
    CHECK_THAT(error.what(),
               Catch::StartsWith(std::string("commit ") + to_string(refused) + " table nat") &&
                   Catch::EndsWith(": Invalid argument"));
  }
  CHECK(difference(before, counted_state(netns)) == nothing);
  CHECK(netns.backend().read() == live);
}

TEST_CASE("a failure in a namespace that was never touched leaves empty tables at most") {
  TestNetns netns;
  CHECK_THROWS_AS(netns.backend().apply(with_refused_rule(small_config(), Family::ipv6)), Error);
  CHECK(diff(Interception{}, netns.backend().read()).empty());
  CHECK(netns.save(Family::ipv4).find("-A ") == std::string::npos);
  CHECK(netns.save(Family::ipv6).find("-A ") == std::string::npos);
  CHECK(netns.addresses().empty());
}

TEST_CASE("what cannot be put back is named, and foreign rules stay all the same") {
  TestNetns netns;
  add_foreign_rules(netns, Family::ipv4);
  const std::string foreign = counted_rules(netns, Family::ipv4);
  netns.backend().apply(ipv4_only(small_config()));
  netns.must({"iptables-legacy", "-t", "nat", "-A", "ISTIO_OUTPUT", "-m", "comment", "--comment",
              "not of the model", "-j", "RETURN"});
  CHECK_THROWS_WITH(netns.backend().apply(with_refused_rule(large_config(), Family::ipv6)),
                    Catch::StartsWith("commit IPv6 table nat") &&
                        Catch::Contains("could not put back IPv4 table nat") &&
                        !Catch::Contains("\n"));
  CHECK(netns.addresses().empty());
  netns.backend().remove();
  CHECK(difference(foreign, counted_rules(netns, Family::ipv4)) == nothing);
}

TEST_CASE("IPv6 that is disabled on lo is a notice, the rules are written", "[backends]") {
  TestNetns netns;
  netns.set_sysctl("net/ipv6/conf/lo/disable_ipv6", "1");
  const Interception wanted = both_families(small_config());
  REQUIRE(wanted.loopback_addresses.size() == 1);
  const Notices notices = netns.backend().apply(wanted);
  REQUIRE(notices.size() == 1);
  CHECK(notices.front() == "address ::6/128 is not added to lo: IPv6 is disabled there");
  const Interception live = netns.backend().read();
  CHECK(live.rulesets == read_back(netns, wanted));
  CHECK(live.loopback_addresses.empty());
  CHECK(netns.backend().remove().empty());
}

TEST_CASE("a kernel without IPv6 tables fails apply only where IPv6 is required") {
  const bool no_family = GENERATE(true, false);
  const auto weaken = [&] {
    if (no_family) {
      refuse_ipv6_tables(EAFNOSUPPORT);
    } else {
      refuse_commit(true, ENOENT);  // the answer to a match or target that the kernel lacks
    }
  };
  TestNetns netns;
  create_nat(netns);
  Interception wanted = both_families(small_config());
  const std::string before = counted_state(netns);
  const std::string refused = apply_in_child(netns, wanted, weaken);
  CHECK_THAT(refused, Catch::StartsWith("errno " + std::to_string(ENOTSUP) + ": ") &&
                          Catch::Contains("IPv6 table nat"));
  CHECK(difference(before, counted_state(netns)) == nothing);

  wanted.ipv6_required = false;
  const std::string notices = apply_in_child(netns, wanted, weaken);
  CHECK_THAT(notices, Catch::StartsWith("IPv6 is left out: ") && Catch::EndsWith("\n"));
  CHECK(difference(before, counted_state(netns)) != nothing);
  const Interception live = netns.backend().read();
  CHECK(diff(wanted, live).empty());
  CHECK(live.rulesets.at(0) == wanted.rulesets.at(0));
  CHECK(netns.save(Family::ipv6).find("ISTIO") == std::string::npos);
}

TEST_CASE("a lack of IPv4 tables is an error even if IPv6 is not required") {
  TestNetns netns;
  Interception wanted = both_families(small_config());
  wanted.ipv6_required = false;
  CHECK_THAT(apply_in_child(netns, wanted, [] { refuse_commit(false, ENOENT); }),
             Catch::StartsWith("errno " + std::to_string(ENOTSUP) + ": ") &&
                 Catch::Contains("IPv4 table nat"));
  CHECK(diff(Interception{}, netns.backend().read()).empty());
}

TEST_CASE("other failures of an optional IPv6 are errors") {
  TestNetns netns;
  create_nat(netns);
  Interception wanted = both_families(small_config());
  wanted.ipv6_required = false;
  const std::string before = counted_state(netns);
  CHECK_THAT(apply_in_child(netns, wanted, [] { refuse_commit(true, ENOMEM); }),
             Catch::StartsWith("errno " + std::to_string(ENOMEM) + ": commit IPv6 table nat"));
  CHECK(difference(before, counted_state(netns)) == nothing);
}

TEST_CASE("a writer that always comes between is EAGAIN after ten attempts") {
  TestNetns netns;
  create_nat(netns);
  const std::string before = counted_state(netns);
  for (const bool ipv6 : {false, true}) {
    CHECK_THAT(
        apply_in_child(netns, both_families(small_config()), [&] { refuse_commit(ipv6, EAGAIN); }),
        Catch::StartsWith("errno " + std::to_string(EAGAIN) + ": ") && Catch::Contains("10 times"));
    CHECK(difference(before, counted_state(netns)) == nothing);
  }
}

TEST_CASE("a writer that comes between a commit and its counters fails nothing") {
  TestNetns netns;
  const Interception wanted = both_families(small_config());
  CHECK(apply_in_child(netns, wanted, [] { refuse_counters(EINVAL); }) == nothing);
  CHECK(diff(wanted, netns.backend().read()).empty());
}

TEST_CASE("an address that cannot be added fails apply before any rule is written") {
  TestNetns netns;
  const auto weaken = [] { refuse(SYS_socket, {{.index = 0, .value = AF_NETLINK}}, EPERM); };
  CHECK_THAT(apply_in_child(netns, both_families(small_config()), weaken),
             Catch::StartsWith("errno " + std::to_string(EPERM) + ": open a netlink socket"));
  CHECK(netns.proc_net("ip_tables_names").empty());
}

TEST_CASE("an address that cannot be taken out fails apply, and the rules are put back",
          "[backends]") {
  TestNetns netns;
  netns.backend().apply(both_families(small_config()));
  const std::string before = netns.state();
  const auto weaken = [] { refuse(SYS_ioctl, {{.index = 1, .value = SIOCDIFADDR}}, EPERM); };
  CHECK_THAT(apply_in_child(netns, ipv4_only(large_config()), weaken),
             Catch::StartsWith("errno " + std::to_string(EPERM) + ": remove address ::6/128"));
  CHECK(difference(before, netns.state()) == nothing);
}

TEST_CASE("without privileges nothing is done") {
  for (const int capability : {CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN}) {
    INFO("capability " << capability);
    TestNetns netns;
    const std::string outcome =
        apply_in_child(netns, both_families(small_config()), [&] { drop_capability(capability); });
    const bool refused = outcome.rfind("errno " + std::to_string(EPERM) + ": ", 0) == 0 ||
                         outcome.rfind("errno " + std::to_string(EACCES) + ": ", 0) == 0;
    INFO(outcome);
    CHECK(refused);
    CHECK(diff(Interception{}, netns.backend().read()).empty());
    CHECK(netns.addresses().empty());
  }
}

}  // namespace
}  // namespace sluice::kernel

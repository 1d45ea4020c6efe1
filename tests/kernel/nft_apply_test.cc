// SPDX-License-Identifier: GPL-2.0-or-later
// What holds for every configuration through nf_tables: it is read back as it was written, written
// once only, and gone without remnants.
#include <sys/socket.h>
#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <string>

#include "rules/diff.h"
#include "rules/error.h"
#include "rules/kernel/nft/tables.h"
#include "rules/parse.h"
#include "rules/redirect.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/nft_netns.h"
#include "tests/kernel/refusal.h"
#include "tests/kernel/seed.h"
#include "tests/random_config.h"

namespace sluice::kernel {
namespace {

void check_applied(const TestNetns& netns, const Interception& wanted) {
  CHECK(nft_write(netns, wanted).empty());
  CHECK(difference(shown(canonical_of(wanted)), shown(nft_read(netns))) == nothing);
  CHECK(nft_read(netns) == canonical_of(wanted));
}

void check_not_written_again(const TestNetns& netns, const Interception& wanted) {
  const std::uint32_t before = nft_generation(netns);
  CHECK(nft_write(netns, wanted).empty());
  CHECK(nft_generation(netns) == before);
}

void check_removed(const TestNetns& netns) {
  CHECK(nft_write(netns, {}).empty());
  CHECK(nft_list(netns) == nothing);
  CHECK_FALSE(nft_holds_ours(netns));
}

TEST_CASE("nf_tables holds every golden configuration") {
  for (const NamedConfig& golden : golden_configs()) {
    INFO(golden.name);
    if (golden.name == "mode-none") continue;  // no rules, no table
    const TestNetns netns;
    for (const Interception& wanted :
         {both_families(golden.config), ipv4_only(golden.config), ipv6_blocked(golden.config)}) {
      check_applied(netns, wanted);
      check_not_written_again(netns, wanted);
    }
    CHECK(nft_holds_ours(netns));
    check_removed(netns);
  }
}

TEST_CASE("nf_tables holds random configurations") {
  INFO("SLUICE_SEED=" << test_seed());
  RandomConfig random(test_seed() + 2);
  const TestNetns netns;
  for (int round = 0; round < 150; ++round) {
    INFO("round " << round);
    const PodNetwork pod{.addresses = {parse_address("10.0.0.2"), parse_address("fd00::2")}};
    const Interception wanted = interception(random.next(), pod);
    check_applied(netns, wanted);
    check_not_written_again(netns, wanted);
  }
  check_removed(netns);
}

TEST_CASE("nothing is created where nothing is wanted") {
  const TestNetns netns;
  const std::uint32_t before = nft_generation(netns);
  CHECK(nft_write(netns, {}).empty());
  CHECK_FALSE(nft_holds_ours(netns));
  CHECK(nft_read(netns).empty());
  CHECK(nft_generation(netns) == before);
}

TEST_CASE("counters stay where nothing is to be written") {
  const TestNetns netns;
  const Interception wanted = both_families(small_config());
  nft_write(netns, wanted);
  netns.send_packets(80, 3);
  const std::string before = nft_list(netns);
  CHECK_THAT(before, Catch::Contains("counter packets 3"));
  nft_write(netns, wanted);
  CHECK(difference(before, nft_list(netns)) == nothing);
}

TEST_CASE("tables of others stay as they are") {
  const TestNetns netns;
  std::string others;
  for (const std::string family : {"ip", "ip6", "inet", "arp", "bridge"}) {
    others += "table " + family + " other {\n set s { type ipv4_addr; elements = { 10.0.0.1 } }\n" +
              " chain ISTIOD { counter accept\n }\n chain output { type filter hook output "
              "priority 0; }\n}\n";
  }
  others = others.substr(0, others.find("table arp"));
  others += "table ip sluice {\n chain ISTIO_OUTPUT { counter\n }\n}\n";
  nft_load(netns, others);
  const std::string before = nft_list(netns);
  nft_write(netns, both_families(large_config()));
  nft_write(netns, both_families(small_config()));
  nft_write(netns, {});
  CHECK(difference(before, nft_list(netns)) == nothing);
}

TEST_CASE("ours under another name is taken out in the same transaction") {
  const TestNetns netns;
  nft_write(netns, both_families(large_config()), "before");
  CHECK(nft_holds_ours(netns));
  const Interception live{.rulesets = nft_read(netns)};
  CHECK(diff(both_families(large_config()).rulesets.front(), live.rulesets.front()).empty());
  const std::uint32_t generation = nft_generation(netns);
  nft_write(netns, both_families(small_config()));
  CHECK(nft_generation(netns) == generation + 1);
  CHECK(netns.must({"nft", "list", "tables"}) == "table inet sluice\n");
  nft_write(netns, {}, "unheard-of");
  CHECK(nft_list(netns) == nothing);
}

// The same number of CIDRs of each family, none of which can be merged.
RedirectConfig many_cidrs(int count) {
  RedirectConfig config;
  for (int i = 0; i < count; ++i) {
    const std::string middle = std::to_string(i / 256) + "." + std::to_string(i % 256);
    config.exclude_outbound_cidrs.push_back(parse_cidr("10." + middle + ".0/25"));
    config.exclude_outbound_cidrs.push_back(
        parse_cidr("fd00:" + std::to_string(i / 1000) + ":" + std::to_string(i % 1000) + "::/49"));
  }
  return config;
}

TEST_CASE("thousands of CIDRs of each family are one transaction") {
  for (const int count : {5000, 8192}) {
    const TestNetns netns;
    const Interception wanted = both_families(many_cidrs(count));
    nft_write(netns, wanted);
    CHECK(nft_generation(netns) == 2);
    CHECK(nft_read(netns) == canonical_of(wanted));
    check_not_written_again(netns, wanted);
    check_removed(netns);
  }
}

TEST_CASE("as many proxy UIDs as are accepted make a table that is read back") {
  RedirectConfig config;
  for (std::uint32_t uid = 0; uid < owner_id_limit; ++uid) config.proxy_uids.push_back(2 * uid);
  const TestNetns netns;
  const Interception wanted = both_families(config);
  nft_write(netns, wanted);
  CHECK(nft_read(netns) == canonical_of(wanted));
}

TEST_CASE("a transaction that is more than a socket takes is refused with the reason") {
  const TestNetns netns;
  const Interception wanted = both_families(many_cidrs(8192));
  CHECK(in_child([&] {
          refuse(SYS_setsockopt, {{.index = 1, .value = SOL_SOCKET}}, EPERM);
          try {
            nft_write(netns, wanted);
          } catch (const Error& error) {
            const std::string said = error.what();
            return said.find("(net.core.wmem_max)") == std::string::npos ? said : "refused";
          }
          return std::string("written");
        }) == "refused");
  CHECK_FALSE(nft_holds_ours(netns));
}

}  // namespace
}  // namespace sluice::kernel

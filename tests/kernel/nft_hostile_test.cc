// SPDX-License-Identifier: GPL-2.0-or-later
// What a pod's own processes can have put into our table reads as drift, never as intact, and goes
// with the next write.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/batch.h"
#include "rules/kernel/nft/socket.h"
#include "rules/kernel/nft/tables.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/nft_netns.h"

namespace sluice::kernel {
namespace {

struct Tampering {
  std::string name;
  // Lines for `nft -f`, on top of our table.
  std::string text;
};

const Interception& wanted() {
  static const Interception interception = both_families(large_config());
  return interception;
}

// The first rule of ISTIO_OUTPUT goes.
std::string without_first_rule(const TestNetns& netns) {
  const std::string list =
      netns.must({"nft", "-a", "list", "chain", "inet", "sluice", "ISTIO_OUTPUT"});
  const std::size_t handle = list.find("# handle ", list.find("counter"));
  REQUIRE(handle != std::string::npos);
  const std::string number = list.substr(handle + 9, list.find('\n', handle) - handle - 9);
  return "delete rule inet sluice ISTIO_OUTPUT handle " + number;
}

std::vector<Tampering> tamperings(const TestNetns& netns) {
  const std::string insert = "insert rule inet sluice ISTIO_OUTPUT ";
  return {
      {"deleted", without_first_rule(netns)},
      {"dormant", "add table inet sluice { flags dormant; }"},
      {"accept", insert + "counter accept"},
      {"without counter", insert + "accept"},
      {"two counters", insert + "counter counter return"},
      {"no verdict", insert + "counter"},
      {"unknown match", insert + "meta cpu 0 counter return"},
      {"unknown target", insert + "counter dnat ip to 10.0.0.1"},
      {"notrack", insert + "counter notrack"},
      {"anonymous set", insert + "tcp dport { 80, 443 } counter return"},
      {"map", insert + "tcp dport vmap { 80 : accept }"},
      {"verdict of a set's elements",
       "add map inet sluice m { type inet_service : verdict; elements "
       "= { 80 : accept }; }\n" +
           insert + "tcp dport vmap @m"},
      {"set with timeouts",
       "add set inet sluice t { type ipv4_addr; flags interval,timeout; elements = { 10.0.0.0/8 "
       "timeout 1h }; }\n" +
           insert + "ip daddr @t counter return"},
      {"set without intervals",
       "add set inet sluice p { type inet_service; elements = { 80 }; }\n" + insert +
           "tcp dport @p counter return"},
      {"inverted set",
       "add set inet sluice p { type inet_service; flags interval; elements = { 80 "
       "}; }\n" +
           insert + "tcp dport != @p counter return"},
      {"interval that is no prefix",
       "add set inet sluice i { type ipv4_addr; flags interval; elements = { 10.0.0.1-10.0.0.6 }; "
       "}\n" +
           insert + "ip daddr @i counter return"},
      {"limit over", insert + "limit rate over 10/second counter return"},
      {"limit of bytes", insert + "limit rate 10 kbytes/second counter return"},
      {"another base chain",
       "add chain inet sluice extra { type filter hook input priority 0; policy drop; }"},
      {"own chain that is a base chain",
       "add chain inet sluice ISTIO_EXTRA { type nat hook output priority -150; }\n"
       "add rule inet sluice ISTIO_EXTRA counter accept"},
      {"foreign chain", "add chain inet sluice mine\nadd rule inet sluice mine counter accept"},
      {"policy", "add chain inet sluice output-nat { policy drop; }"},
  };
}

bool has_opaque(const std::vector<Ruleset>& rulesets) {
  return shown(rulesets).find("nf_tables [") != std::string::npos;
}

TEST_CASE("whatever was tampered with is drift, and is mended") {
  const TestNetns netns;
  nft_write(netns, wanted());
  for (const Tampering& tampering : tamperings(netns)) {
    INFO(tampering.name);
    nft_load(netns, tampering.text);
    CHECK(nft_read(netns) != canonical_of(wanted()));
    CHECK(nft_holds_ours(netns));
    const std::uint32_t generation = nft_generation(netns);
    nft_write(netns, wanted());
    CHECK(nft_generation(netns) == generation + 1);
    CHECK(nft_read(netns) == canonical_of(wanted()));
  }
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t place = text.find(what);
  REQUIRE(place != std::string::npos);
  return text.replace(place, what.size(), by);
}

TEST_CASE("a built-in chain with another hook is opaque") {
  const TestNetns netns;
  nft_write(netns, wanted());
  const std::string list = nft_list(netns);
  const std::string hook = "type nat hook output priority -100; policy accept;";
  for (const std::string other : {"type nat hook output priority -99; policy accept;",
                                  "type filter hook output priority -100; policy accept;",
                                  "type nat hook postrouting priority -100; policy accept;", ""}) {
    INFO(other);
    std::string text = replaced(list, hook, other);
    // A chain of another type or at another hook may not redirect.
    if (other.find("-99") == std::string::npos) {
      text = "table inet sluice {\n chain output-nat {\n " + other +
             "\n counter jump ISTIO_OUTPUT\n }\n chain ISTIO_OUTPUT {\n counter return\n }\n}\n";
    }
    nft_load(netns, "delete table inet sluice\n" + text);
    CHECK(has_opaque(nft_read(netns)));
    nft_write(netns, wanted());
    CHECK(difference(list, nft_list(netns)) == nothing);
  }
}

TEST_CASE("a chain that others put into our own table goes and is told") {
  const TestNetns netns;
  nft_load(netns,
           "table inet sluice {\n chain input { type filter hook input priority 0; policy drop;\n"
           " }\n}\n");
  CHECK(
      nft_write(netns, wanted()) ==
      Notices{"chain \"input\", which others put into table \"sluice\" of nf_tables, is gone with "
              "all that was in it"});
  CHECK(nft_write(netns, wanted()).empty());
  CHECK(nft_read(netns) == canonical_of(wanted()));
}

TEST_CASE("a dormant table holds nothing and is ours") {
  const TestNetns netns;
  nft_write(netns, wanted());
  nft_load(netns, "add table inet sluice { flags dormant; }");
  CHECK(nft_read(netns) == canonical_of({}));
  CHECK(nft_holds_ours(netns));
  nft_write(netns, {});
  CHECK(nft_list(netns) == nothing);
}

TEST_CASE("chains that read alike stay two") {
  const TestNetns netns;
  nft_load(netns,
           "table inet sluice {\n chain PREROUTING { counter return\n }\n"
           " chain PREROUTING-nat { counter accept\n }\n chain x-raw { counter drop\n }\n}\n");
  const std::vector<Ruleset> found = nft_read(netns);
  CHECK(has_opaque(found));
  CHECK_THAT(shown(found), Catch::Contains("-j ACCEPT"));
}

TEST_CASE("a table beyond all limits is replaced") {
  const TestNetns netns;
  std::string rules = "table inet sluice {\n chain ISTIO_OUTPUT {\n";
  for (int i = 0; i < 131'073; ++i) rules += "counter accept\n";
  nft_load(netns, rules + "}\n}\n");
  CHECK_THROWS_WITH(nft_read(netns), Catch::Contains("more rules than are ever looked at"));
  CHECK(nft_holds_ours(netns));
  nft_write(netns, wanted());
  CHECK(nft_read(netns) == canonical_of(wanted()));
}

TEST_CASE("a table that another program owns is refused") {
  const TestNetns netns;
  netns.inside([&] {
    const auto owner = nft::Socket::open();
    nft::Batch batch(owner->generation());
    batch.create_table({.name = nft_table, .flags = NFT_TABLE_F_OWNER});
    REQUIRE(owner->commit(batch).errnum == 0);
    CHECK_THROWS_WITH(nft::make_tables(nft_table)->write(wanted()),
                      "delete table \"sluice\": another program owns the table (flag owner)");
  });
}

}  // namespace
}  // namespace sluice::kernel

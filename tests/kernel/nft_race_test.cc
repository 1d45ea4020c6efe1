// SPDX-License-Identifier: GPL-2.0-or-later
// Other writers, and what is put back when something fails.
#include <catch2/catch.hpp>
#include <string>

#include "rules/error.h"
#include "rules/kernel/nft/socket.h"
#include "rules/kernel/nft/tables.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/nft_netns.h"

namespace sluice::kernel::nft {
namespace {

// A transaction that changes nothing of ours.
void write_elsewhere(Socket& socket) {
  Batch batch(socket.generation());
  batch.create_table({.name = "elsewhere"});
  static_cast<void>(socket.commit(batch));
}

TEST_CASE("a batch for another generation does nothing") {
  const TestNetns netns;
  netns.inside([&] {
    const auto socket = Socket::open();
    Batch batch(socket->generation());
    batch.create_table({.name = "late"});
    write_elsewhere(*socket);
    CHECK(socket->commit(batch).errnum == 85);  // ERESTART
  });
  CHECK(netns.must({"nft", "list", "tables"}) == "table inet elsewhere\n");
}

TEST_CASE("what was there before is put back") {
  const TestNetns netns;
  for (const std::string before :
       {"",
        "table inet sluice {\n set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } "
        "}\n"
        " chain ISTIO_OUTPUT { ip daddr @s counter accept comment \"mine\"\n }\n"
        " chain odd { type filter hook input priority 7; policy drop; iifname \"lo\" accept\n "
        "}\n}\n",
        "table inet other {\n chain ISTIO_OUTPUT { counter return\n }\n}\n",
        "table inet sluice { flags dormant;\n chain x { counter accept\n }\n}\n"}) {
    nft_load(netns, "flush ruleset\n" + before);
    const std::string list = nft_list(netns);
    netns.inside([&] {
      const auto tables = make_tables(nft_table);
      tables->write(both_families(large_config()));
      CHECK(tables->roll_back().empty());
      CHECK(tables->roll_back().empty());
    });
    CHECK(difference(list, nft_list(netns)) == nothing);
  }
}

TEST_CASE("of several tables one is put back, the others are told") {
  const TestNetns netns;
  nft_load(netns,
           "table inet other {\n chain ISTIO_OUTPUT { counter return\n }\n}\n"
           "table inet sluice {\n chain ISTIO_OUTPUT { counter accept\n }\n}\n");
  netns.inside([&] {
    const auto tables = make_tables(nft_table);
    tables->write(both_families(large_config()));
    CHECK(tables->roll_back() == Notices{"could not put back table \"other\" of nf_tables"});
  });
  CHECK(netns.must({"nft", "list", "tables"}) == "table inet sluice\n");
  CHECK_THAT(shown(nft_read(netns)), Catch::Contains("-j ACCEPT"));
}

TEST_CASE("what cannot be put back is told") {
  const TestNetns netns;
  nft_load(netns,
           "table inet sluice {\n map t { type ipv4_addr : verdict; }\n chain ISTIO_OUTPUT {\n"
           " meta cpu 0 counter accept\n notrack\n counter return\n }\n}\n");
  netns.inside([&] {
    const auto tables = make_tables(nft_table);
    tables->write(both_families(large_config()));
    const Notices notices = tables->roll_back();
    REQUIRE(notices.size() == 2);
    CHECK(notices[0] == "could not put back set \"t\" of table \"sluice\" of nf_tables");
    CHECK(notices[1] ==
          "could not put back 1 rules of chain \"ISTIO_OUTPUT\" of table \"sluice\" of nf_tables");
  });
  CHECK_THAT(nft_list(netns), Catch::Contains("meta cpu 0") && !Catch::Contains("notrack"));
}

TEST_CASE("nothing is put back where nothing was written") {
  const TestNetns netns;
  nft_write(netns, both_families(large_config()));
  const std::uint32_t generation = nft_generation(netns);
  netns.inside([&] {
    const auto tables = make_tables(nft_table);
    tables->write(both_families(large_config()));
    CHECK(tables->roll_back().empty());
  });
  CHECK(nft_generation(netns) == generation);
}

TEST_CASE("an expression that the kernel does not take is an error") {
  const TestNetns netns;
  netns.inside([&] {
    const auto socket = Socket::open();
    Batch batch(socket->generation());
    batch.create_table(
        {.name = "sluice",
         .chains = {
             {.name = "x", .rules = {{.expressions = {expr::Meta{.key = 9999, .reg = 1}}}}}}});
    const Outcome outcome = socket->commit(batch);
    CHECK(outcome.errnum != 0);
    CHECK(batch.doing(outcome.sequence) == "add a rule to chain \"x\"");
  });
  CHECK(nft_list(netns) == nothing);
}

}  // namespace
}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's messages, and what is none of the kernel's.
#include <catch2/catch.hpp>
#include <string>

#include <linux/netfilter/nf_tables.h>

#include "rules/error.h"
#include "rules/kernel/nft/dump.h"
#include "rules/kernel/nft/snapshot.h"
#include "rules/kernel/nft/socket.h"
#include "rules/kernel/nft/table.h"
#include "rules/nft/translate.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/nft_netns.h"
#include "tests/kernel/seed.h"

namespace sluice::kernel::nft {
namespace {

void append_list(Socket& socket, Bytes& all, Bytes request) {
  REQUIRE(Listing::whole == socket.list(std::move(request), [&](View message) {
    all.insert(all.end(), message.begin(), message.end());
    all.resize((all.size() + 3) / 4 * 4);
  }));
}

// All messages that the kernel lists of a table of ours.
Bytes listed() {
  Bytes all;
  const TestNetns netns;
  nft_write(netns, both_families(large_config()));
  netns.inside([&] {
    const std::unique_ptr<Socket> socket = Socket::open();
    append_list(*socket, all, list_request(NFT_MSG_GETTABLE));
    append_list(*socket, all, list_request(NFT_MSG_GETCHAIN));
    append_list(*socket, all, list_request(NFT_MSG_GETRULE));
    append_list(*socket, all, list_request(NFT_MSG_GETSET));
    const Snapshot snapshot = take_snapshot(*socket, nft_table);
    for (const SetObject& set : snapshot.table->sets) {
      append_list(*socket, all, list_request(NFT_MSG_GETSETELEM, nft_table, set.name));
    }
  });
  return all;
}

TEST_CASE("messages of nf_tables are read without a socket") {
  Dump dump;
  dump.add_all(listed());
  CHECK(dump.find_table("other") == nullptr);
  const std::vector<TableObject> tables = dump.take();
  REQUIRE(tables.size() == 1);
  CHECK(sluice::nft::from_nft(decode_table(tables.front())) ==
        canonical_of(both_families(large_config())));
}

TEST_CASE("messages that were changed are read or refused") {
  INFO("SLUICE_SEED=" << test_seed());
  Random random(test_seed() + 7);
  const Bytes good = listed();
  int refused = 0;
  for (int round = 0; round < 400; ++round) {
    Bytes bytes = good;
    for (auto left = pick(random, 1, 20); left > 0; --left) {
      bytes[pick<std::size_t>(random, 0, bytes.size() - 1)] =
          pick<std::uint8_t>(random, 0, one_in(random, 2) ? 8 : 255);
    }
    if (one_in(random, 4)) bytes.resize(pick<std::size_t>(random, 0, bytes.size()));
    try {
      Dump dump;
      dump.add_all(bytes);
      for (const TableObject& table : dump.take()) {
        static_cast<void>(sluice::nft::from_nft(decode_table(table)));
      }
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > 0);
}

TEST_CASE("more than is ever looked at is refused") {
  const Bytes bytes = listed();
  const auto refused = [&](DumpLimits limits, const std::string& what) {
    Dump dump(limits);
    CHECK_THROWS_WITH(dump.add_all(bytes), Catch::Contains("more " + what + " than"));
  };
  refused({.tables = 0}, "tables");
  refused({.chains = 2}, "chains");
  refused({.rules = 2}, "rules");
  refused({.expressions = 2}, "expressions of rules");
  refused({.sets = 0}, "sets");
  refused({.elements = 1}, "elements of sets");
}

TEST_CASE("a process may read fewer rules than others") {
  const Bytes bytes = listed();
  limit_rules(2);
  Dump less;
  limit_rules(131'072);
  CHECK_THROWS_WITH(less.add_all(bytes), Catch::Contains("more rules than are ever looked at"));
  CHECK_NOTHROW(Dump().add_all(bytes));
}

}  // namespace
}  // namespace sluice::kernel::nft

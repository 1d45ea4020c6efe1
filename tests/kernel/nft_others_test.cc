// SPDX-License-Identifier: GPL-2.0-or-later
// Other tables of the pod, few and many, and who writes into them all the time.
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <linux/netfilter/nf_tables.h>

#include "rules/error.h"
#include "rules/kernel/nft/replacement.h"
#include "rules/kernel/nft/snapshot.h"
#include "rules/kernel/nft/socket.h"
#include "rules/kernel/nft/tables.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/nft_netns.h"

namespace sluice::kernel::nft {
namespace {

using Strings = std::vector<std::string>;

TableObject table_of_ours(const std::string& name, std::uint32_t flags = 0) {
  return {.name = name, .flags = flags, .chains = {{.name = "ISTIO_OUTPUT"}}};
}

void create(Socket& socket, const std::vector<TableObject>& tables) {
  Batch batch(socket.generation());
  for (const TableObject& table : tables) batch.create_table(table);
  REQUIRE(socket.commit(batch).errnum == 0);
}

// Of the calling thread's namespace.
Strings strays_here() {
  const auto tables = make_tables(nft_table);
  tables->read();
  return tables->strays();
}

Strings strays(const TestNetns& netns) {
  Strings all;
  netns.inside([&] { all = strays_here(); });
  return all;
}

void check_usable(const TestNetns& netns) {
  const Interception wanted = both_families(small_config());
  nft_write(netns, wanted);
  CHECK(nft_read(netns) == canonical_of(wanted));
  CHECK(nft_holds_ours(netns));
  nft_write(netns, {});
  CHECK_FALSE(nft_holds_ours(netns));
}

TEST_CASE("tables of others without number are not looked at") {
  const TestNetns netns;
  std::vector<TableObject> tables(2000);
  for (std::size_t i = 0; i < tables.size(); ++i) tables[i].name = "t" + std::to_string(i);
  netns.inside([&] { create(*Socket::open(), tables); });
  check_usable(netns);
  CHECK(strays(netns).empty());
}

TEST_CASE("chains of others without number are not looked at") {
  const TestNetns netns;
  TableObject table{.name = "a"};
  for (std::size_t i = 0; i < 40'000; ++i) table.chains.push_back({.name = std::to_string(i)});
  netns.inside([&] { create(*Socket::open(), {table}); });
  check_usable(netns);
}

TEST_CASE("one table of ours is read, the others are named") {
  const TestNetns netns;
  CHECK(strays(netns).empty());
  nft_load(netns,
           "table inet b {\n chain ISTIO_OUTPUT { counter return\n }\n}\n"
           "table inet a {\n chain ISTIO_OUTPUT { counter accept\n }\n}\n"
           "table inet c {\n chain mine { counter accept\n }\n}\n");
  CHECK_THAT(shown(nft_read(netns)), Catch::Contains("ACCEPT\n") && !Catch::Contains("RETURN"));
  CHECK(strays(netns) == Strings{"table \"b\" of nf_tables"});
  nft_load(netns, "table inet sluice { }\n");
  CHECK(nft_read(netns) == canonical_of({}));
  CHECK(strays(netns) == Strings{"table \"a\" of nf_tables", "table \"b\" of nf_tables"});
  CHECK(nft_write(netns, both_families(small_config())).empty());
  CHECK(strays(netns).empty());
  CHECK(netns.must({"nft", "list", "tables"}) == "table inet c\ntable inet sluice\n");
}

// A firewall with one chain of ours among its own, before or behind it.
std::string firewall(const std::string& name, bool first) {
  const std::string ours = " chain ISTIO_OUTPUT { counter return\n }\n";
  const std::string input =
      " chain input { type filter hook input priority 0; policy drop; tcp dport 22 accept\n }\n";
  return "table inet " + name + " {\n" + (first ? ours + input : input + ours) + "}\n";
}

TEST_CASE("a table of others with a chain of ours among theirs stays and is told") {
  const bool first = GENERATE(true, false);
  const TestNetns netns;
  nft_load(netns, firewall("filter", first));
  const std::string before = nft_list(netns);
  const Notices told{
      "table \"filter\" of nf_tables has chains of others beside one with a name of ours and "
      "stays"};
  CHECK_FALSE(nft_holds_ours(netns));
  CHECK(nft_read(netns).empty());
  const Interception wanted = both_families(small_config());
  CHECK(nft_write(netns, wanted) == told);
  CHECK(nft_write(netns, wanted) == told);
  CHECK(nft_read(netns) == canonical_of(wanted));
  CHECK(strays(netns).empty());
  CHECK(nft_write(netns, {}) == told);
  CHECK(difference(before, nft_list(netns)) == nothing);
}

TEST_CASE("of many tables of others with a chain of ours one is named") {
  const TestNetns netns;
  std::vector<TableObject> tables;
  for (int i = 100; i < 200; ++i) {
    tables.push_back(table_of_ours("t" + std::to_string(i)));
    tables.back().chains.push_back({.name = "input"});
  }
  netns.inside([&] { create(*Socket::open(), tables); });
  CHECK(nft_write(netns, {}) ==
        Notices{"table \"t100\" of nf_tables has chains of others beside one with a name of ours "
                "and stays, and so do others like it: 63"});
}

TEST_CASE("a table whose other chains are beyond what is looked at stays") {
  const TestNetns netns;
  TableObject many{.name = "many"};
  for (int i = 0; i < 131'071; ++i) many.chains.push_back({.name = std::to_string(i)});
  netns.inside([&] { create(*Socket::open(), {many}); });
  nft_load(netns, firewall("filter", true));
  CHECK_FALSE(nft_holds_ours(netns));
  CHECK(nft_write(netns, {}).size() == 1);
  CHECK(netns.must({"nft", "list", "tables"}) == "table inet many\ntable inet filter\n");
}

TEST_CASE("a table that is told by all its chains may have built-in ones") {
  const TestNetns netns;
  nft_load(netns,
           "table inet b {\n chain ISTIO_DIVERT-mangle { counter return\n }\n"
           " chain output-nat { type nat hook output priority -100; }\n}\n"
           "table inet c {\n chain output-nat { type nat hook output priority -99; }\n}\n");
  CHECK(nft_holds_ours(netns));
  CHECK(nft_write(netns, {}).empty());
  CHECK(netns.must({"nft", "list", "tables"}) == "table inet c\n");
}

TEST_CASE("of very many tables of ours some are left out, and gone in the end") {
  const TestNetns netns;
  std::vector<TableObject> tables;
  for (int i = 0; i < 100; ++i) tables.push_back(table_of_ours("t" + std::to_string(i)));
  netns.inside([&] { create(*Socket::open(), tables); });
  CHECK(strays(netns).size() == 63);  // one of the 64 is read
  nft_write(netns, both_families(small_config()));
  CHECK(netns.must({"nft", "list", "tables"}) == "table inet sluice\n");
}

TEST_CASE("another table of ours that a program owns stays and is told") {
  const TestNetns netns;
  netns.inside([&] {
    const auto owner = Socket::open();
    create(*owner, {table_of_ours("evil", NFT_TABLE_F_OWNER), table_of_ours("other")});
    const Notices told{
        "table \"evil\" of nf_tables belongs to another program (flag owner) and stays"};
    const Interception wanted = both_families(small_config());
    CHECK(make_tables(nft_table)->write(wanted) == told);
    CHECK(make_tables(nft_table)->read() == canonical_of(wanted));
    CHECK(strays_here() == Strings{"table \"evil\" of nf_tables"});
    CHECK(make_tables(nft_table)->write({}) == told);
    CHECK(find_tables(*owner, nft_table).table->name == "evil");
  });
}

// While it lives, it does its work all the time.
class Writer {
 public:
  Writer(const TestNetns& netns, std::function<void(Socket&)> work) : work_(std::move(work)) {
    thread_ = std::thread([&netns, this] {
      netns.inside([this] {
        const auto socket = Socket::open();
        while (!stop_) {
          work_(*socket);
          ++done_;
        }
      });
    });
    while (done_ == 0) std::this_thread::yield();
  }
  Writer(const Writer&) = delete;
  Writer(Writer&&) = delete;
  Writer& operator=(const Writer&) = delete;
  Writer& operator=(Writer&&) = delete;
  ~Writer() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::function<void(Socket&)> work_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> done_ = 0;
  std::thread thread_;
};

void commit_table(Socket& socket, const TableObject& table) {
  Batch batch(std::nullopt);
  batch.add_table(table.name);
  batch.delete_table(table.name);
  batch.create_table(table);
  static_cast<void>(socket.commit(batch));
}

TEST_CASE("who writes elsewhere all the time does not keep us from working") {
  const TestNetns netns;
  const Writer writer(netns, [](Socket& socket) { commit_table(socket, {.name = "elsewhere"}); });
  for (int round = 0; round < 30; ++round) {
    const Interception wanted = both_families(round % 2 == 0 ? large_config() : small_config());
    CHECK(nft_write(netns, wanted).empty());
    CHECK(nft_read(netns) == canonical_of(wanted));
  }
  nft_write(netns, {});
  CHECK_FALSE(nft_holds_ours(netns));
}

TEST_CASE("who makes tables of ours all the time is told of at most") {
  const TestNetns netns;
  const Interception wanted = both_families(small_config());
  {
    const Writer writer(netns, [](Socket& socket) {
      commit_table(socket, table_of_ours("evil"));
      commit_table(socket, {.name = "evil"});
    });
    for (int round = 0; round < 10; ++round) {
      for (const std::string& notice : nft_write(netns, wanted)) {
        CHECK(notice == "table \"evil\" of nf_tables stays: another writer made it meanwhile");
      }
      CHECK(nft_read(netns) == canonical_of(wanted));
    }
  }
  CHECK(nft_write(netns, wanted).empty());
}

TEST_CASE("who writes our own table all the time costs an error at most") {
  const TestNetns netns;
  const Interception wanted = both_families(small_config());
  {
    const Writer writer(netns,
                        [](Socket& socket) { commit_table(socket, table_of_ours(nft_table)); });
    for (int round = 0; round < 5; ++round) {
      try {
        nft_write(netns, wanted);
      } catch (const Error& error) {
        CHECK(error.code() == std::errc::resource_unavailable_try_again);
      }
    }
  }
  nft_write(netns, wanted);
  CHECK(nft_read(netns) == canonical_of(wanted));
}

TEST_CASE("a transaction that asks for no generation needs no table, and minds none") {
  const TestNetns netns;
  netns.inside([&] {
    const auto socket = Socket::open();
    const Snapshot before = find_tables(*socket, nft_table);
    create(*socket, {table_of_ours(nft_table, NFT_TABLE_F_DORMANT)});
    CHECK_FALSE(replace_tables(*socket, before, {table_of_ours(nft_table)}, Commit::if_unchanged));
    CHECK(replace_tables(*socket, before, {table_of_ours(nft_table)}, Commit::anyway));
    const Snapshot after = take_snapshot(*socket, nft_table);
    CHECK(after.table == table_of_ours(nft_table));
    nft_load(netns, "delete table inet sluice");
    CHECK(replace_tables(*socket, after, {}, Commit::anyway));
    CHECK_FALSE(find_tables(*socket, nft_table).table);
  });
}

}  // namespace
}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
// Other writers in the same namespace. x_tables replaces whole tables: who comes second with an old
// snapshot must notice.
#include <sched.h>
#include <sys/mman.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <variant>

#include "rules/diff.h"
#include "rules/error.h"
#include "rules/kernel/xt/table.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/seed.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

using xt::XtTable;

const Rule foreign_rule{.source = AddressMatch{.cidr = parse_cidr("10.9.9.0/24")},
                        .target = Accept{}};

// Numbers that a companion counts for the test.
struct Counts {
  std::atomic<int> commits{0};
  std::atomic<int> conflicts{0};
};

// Memory that the test shares with its children.
class SharedCounts {
 public:
  SharedCounts()
      : page_(mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                   0)) {
    if (page_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    new (page_) Counts;
  }
  SharedCounts(const SharedCounts&) = delete;
  SharedCounts(SharedCounts&&) = delete;
  SharedCounts& operator=(const SharedCounts&) = delete;
  SharedCounts& operator=(SharedCounts&&) = delete;
  ~SharedCounts() { munmap(page_, sizeof(Counts)); }
  Counts& operator*() const { return *static_cast<Counts*>(page_); }

 private:
  void* page_;
};

void enter(const TestNetns& netns) {
  if (setns(netns.fd(), CLONE_NEWNET) != 0) throw std::runtime_error("setns");
}

// Adds a rule to POSTROUTING or takes them all out; false if another writer came between. The
// number of rules tells which they are, so that a commit which the kernel takes for current is.
bool write_foreign(bool add) {
  const std::unique_ptr<XtTable> table = XtTable::open(Family::ipv4, Table::nat);
  if (add) {
    table->append("POSTROUTING", foreign_rule);
  } else {
    table->flush_chain("POSTROUTING");
  }
  try {
    return table->commit();
  } catch (const Error& error) {
    // The other one replaced the table between our replacing it and our adding the counters.
    if (error.code() != std::errc::invalid_argument) throw;
    return true;
  }
}

// Writes until told to end, then leaves exactly two rules.
void disturb(const TestNetns& netns, Counts& counts, const Companion::Line& line) {
  enter(netns);
  Random random(test_seed());
  line.ready();
  for (int rules = 0; !line.stopping(pick(random, 50, 400));) {
    const bool add = rules < 3;
    if (!write_foreign(add)) {
      ++counts.conflicts;
      continue;
    }
    ++counts.commits;
    rules = add ? rules + 1 : 0;
  }
  while (!write_foreign(false)) continue;
  for (int rules = 0; rules < 2;) rules += write_foreign(true) ? 1 : 0;
}

// Whether apply succeeded; it may only have lost to the other writer.
bool try_apply(TestNetns& netns, const Interception& wanted) {
  try {
    netns.backend().apply(wanted);
    return true;
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(error.code() == std::errc::resource_unavailable_try_again);
    return false;
  }
}

const std::vector<Rule>& rules_of(const Interception& live, const std::string& chain) {
  return find_chain(*find_table(live.rulesets.at(0), Table::nat), chain)->rules;
}

// The writer touches neither chain: what stands there is of the last configuration, and of none
// before.
void check_no_remnants(TestNetns& netns, const Interception& wanted) {
  const Interception live = netns.backend().read();
  CHECK(diff(wanted, live).empty());
  for (const char* chain : {"PREROUTING", "OUTPUT"}) {
    CHECK(rules_of(live, chain) == rules_of(wanted, chain));
  }
}

TEST_CASE("apply holds its own against a writer that changes the table all the time") {
  TestNetns netns;
  const SharedCounts shared;
  Companion writer([&](const Companion::Line& line) { disturb(netns, *shared, line); });
  const Interception large = both_families(large_config());
  const Interception without_interfaces = both_families(config_of("{}"));
  int succeeded = 0;
  for (int i = 0; i < 60; ++i) {
    const Interception& wanted = i % 2 == 0 ? large : without_interfaces;
    if (!try_apply(netns, wanted)) continue;
    ++succeeded;
    check_no_remnants(netns, wanted);
  }
  // The last one must have been written while the other still writes.
  int attempts = 0;
  while (!try_apply(netns, large)) REQUIRE(++attempts < 100);
  REQUIRE(writer.stop() == 0);
  INFO("SLUICE_SEED=" << test_seed() << ", succeeded " << succeeded << ", writer's commits "
                      << (*shared).commits << ", its conflicts " << (*shared).conflicts);
  // How many depends on how slow the machine and the sanitizers make us between read and commit.
  CHECK(succeeded >= 15);
  CHECK((*shared).commits > 10);
  check_no_remnants(netns, large);
  CHECK(rules_of(netns.backend().read(), "POSTROUTING") ==
        std::vector<Rule>{foreign_rule, foreign_rule});
}

TEST_CASE("several that apply at once take turns") {
  TestNetns netns;
  const Interception small = both_families(small_config());
  const Interception large = both_families(large_config());
  const auto work = [&](const Interception& wanted, const Companion::Line& line) {
    // An open file of its own, as another process has it: the lock is between open files.
    const auto own = std::get<Netns>(Netns::open(netns.path()));
    PodBackend backend(own, {.backend = BackendChoice::xtables}, "sluice");
    line.ready();
    for (int i = 0; i < 40; ++i) {
      if (!backend.apply(wanted).empty()) throw std::runtime_error("went on without the lock");
    }
  };
  Companion first([&](const Companion::Line& line) { work(small, line); });
  Companion second([&](const Companion::Line& line) { work(large, line); });
  CHECK(first.stop() == 0);
  CHECK(second.stop() == 0);
  const Interception live = netns.backend().read();
  CHECK((diff(small, live).empty() || diff(large, live).empty()));
}

TEST_CASE("a commit of an old snapshot fails and changes nothing") {
  const Family family = GENERATE(Family::ipv4, Family::ipv6);
  const TestNetns netns;
  netns.inside([&] {
    const std::unique_ptr<XtTable> old = XtTable::open(family, Table::nat);
    const std::unique_ptr<XtTable> other = XtTable::open(family, Table::nat);
    other->append("POSTROUTING", {.target = Accept{}});
    REQUIRE(other->commit());
    const std::string before = netns.save(family);
    old->create_chain("LATE");
    CHECK_FALSE(old->commit());
    CHECK(netns.save(family) == before);

    const std::unique_ptr<XtTable> fresh = XtTable::open(family, Table::nat);
    fresh->create_chain("LATE");
    CHECK(fresh->commit());
    CHECK(netns.save(family).find(":LATE") != std::string::npos);
  });
}

TEST_CASE("a snapshot belongs to the namespace in which it was opened") {
  TestNetns netns;
  std::unique_ptr<XtTable> table;
  netns.inside([&] { table = XtTable::open(Family::ipv4, Table::nat); });
  const TestNetns elsewhere;
  elsewhere.inside([&] {
    table->create_chain("HERE");
    CHECK(table->commit());
  });
  CHECK(netns.save(Family::ipv4).find(":HERE") != std::string::npos);
  CHECK(elsewhere.proc_net("ip_tables_names").empty());
}

TEST_CASE("edits of chains that are not there name the chain") {
  const TestNetns netns;
  netns.inside([&] {
    const std::unique_ptr<XtTable> table = XtTable::open(Family::ipv6, Table::filter);
    CHECK_THROWS_WITH(table->append("NOWHERE", {}),
                      Catch::Contains("\"NOWHERE\" of IPv6 table filter"));
    CHECK_THROWS_WITH(table->flush_chain("NOWHERE"), Catch::Contains("NOWHERE"));
    CHECK_THROWS_WITH(table->delete_chain("NOWHERE"), Catch::Contains("NOWHERE"));
    CHECK_THROWS_WITH(table->delete_rule("INPUT", 0), Catch::Contains("INPUT"));
    CHECK_THROWS_WITH(table->create_chain("OUTPUT"), Catch::Contains("OUTPUT"));
    CHECK_THROWS_WITH(table->create_chain(std::string(40, 'x')), Catch::Contains("xxx"));
  });
}

}  // namespace
}  // namespace sluice::kernel

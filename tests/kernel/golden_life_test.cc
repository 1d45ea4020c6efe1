// SPDX-License-Identifier: GPL-2.0-or-later
// The life of every golden configuration in a pod: applied, found as it was applied, applied again,
// removed.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "rules/diff.h"
#include "rules/layout.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/nft_netns.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

// Policy routing, where the configuration has to do with it.
std::string routing(const TestNetns& netns, const Interception& wanted) {
  std::string text;
  if (wanted.tproxy_routes.empty()) return text;
  for (const char* family : {"-4", "-6"}) {
    text += netns.must({"ip", family, "rule"});
    text += netns.must({"ip", family, "route", "show", "table", "all"});
  }
  return text;
}

// The kernel adds an address's own route a moment after it has said that the address is there.
void await_routes(const TestNetns& netns, const Interception& wanted) {
  if (wanted.loopback_addresses.empty()) return;
  constexpr int tries = 500;
  for (int i = 0; i < tries; ++i) {
    const std::string local = netns.must({"ip", "-6", "route", "show", "table", "local"});
    if (local.find("local ::6 dev lo") != std::string::npos) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  FAIL("::6 has no route");
}

using Names = std::vector<std::string>;

// Of IPv4's x_tables, of IPv6's, and of nf_tables.
using Tables = std::vector<Names>;

Names sorted_lines(const std::string& text) {
  std::istringstream lines(text);
  Names names;
  for (std::string line; std::getline(lines, line);) names.push_back(line);
  std::sort(names.begin(), names.end());
  return names;
}

// Those that are there; of x_tables' all that were ever used.
Tables tables(const TestNetns& netns) {
  return {sorted_lines(netns.proc_net("ip_tables_names")),
          sorted_lines(netns.proc_net("ip6_tables_names")),
          sorted_lines(nft_list(netns, {"tables"}))};
}

Tables tables_for(const TestNetns& netns, const Interception& wanted) {
  Tables all(3);
  for (const Ruleset& ruleset : wanted.rulesets) {
    Names& names = all.at(ruleset.family == Family::ipv4 ? 0 : 1);
    for (const TableRules& table : ruleset.tables) names.emplace_back(to_string(table.table));
    std::sort(names.begin(), names.end());
  }
  if (!netns.writes_nftables()) return all;
  const bool none = all[0].empty() && all[1].empty();
  return {{}, {}, none ? Names{} : Names{"table inet sluice"}};
}

void check_applied(TestNetns& netns, const Interception& wanted, bool in_kernel_order) {
  const Interception live = netns.backend().read();
  CHECK(diff(wanted, live).empty());
  CHECK(live.loopback_addresses == wanted.loopback_addresses);
  CHECK(live.tproxy_routes == wanted.tproxy_routes);
  CHECK(tables(netns) == tables_for(netns, wanted));
  // x_tables lists the chains of the other layout in another order than that declares them.
  if (netns.writes_nftables() || (in_kernel_order && wanted.rulesets.size() == 2)) {
    CHECK(live.rulesets == read_back(netns, wanted));
  }
}

// The rules and chains that are left, and any table of nf_tables.
std::string remnants(const TestNetns& netns) {
  return nft_list(netns) + filter_lines(netns.save(Family::ipv4) + netns.save(Family::ipv6),
                                        [](const std::string& line) {
                                          return line.front() == '-' ||
                                                 line.compare(0, 7, ":ISTIO_") == 0;
                                        });
}

void check_life(const Interception& wanted, bool in_kernel_order) {
  TestNetns netns;
  netns.must({"ip", "link", "set", "lo", "up"});
  const std::string before = routing(netns, wanted);

  CHECK(netns.backend().apply(wanted).empty());
  check_applied(netns, wanted, in_kernel_order);

  await_routes(netns, wanted);
  const std::string applied = netns.state() + routing(netns, wanted);
  CHECK(netns.backend().apply(wanted).empty());
  CHECK(difference(applied, netns.state() + routing(netns, wanted)) == nothing);

  CHECK(netns.backend().remove().empty());
  CHECK(remnants(netns) == nothing);
  CHECK(difference(before, routing(netns, wanted)) == nothing);
  CHECK(netns.addresses().find("00000000000000000000000000000006") == std::string::npos);
}

TEST_CASE("every golden is applied, found, applied again without effect and removed",
          "[backends]") {
  for (const auto& [name, config] : golden_configs()) {
    INFO(name);
    const bool in_kernel_order = config.layout->name == "istio";
    check_life(both_families(config), in_kernel_order);
    check_life(ipv6_blocked(config), in_kernel_order);
  }
}

}  // namespace
}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// A pod's owner may have filled its chains, with up to 131,072 rules (rules/kernel/xt/vet.cc).
#include <algorithm>
#include <catch2/catch.hpp>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "rules/chains.h"
#include "rules/parse.h"
#include "rules/recognition.h"
#include "tests/unit/tables.h"

namespace sluice {
namespace {

#ifdef SLUICE_SANITIZED
constexpr std::size_t many = 20'000;  // for the sanitizers' sake; time is the other builds' affair
#else
constexpr std::size_t many = 80'000;
#endif
// Of the processor's time, not the clock's. Linear work takes a fraction of a second, ten times as
// much in a build for the sanitizers; what is quadratic takes minutes.
constexpr double limit_seconds = 8;

void check_bounded(const Interception& live, bool recognised) {
  const std::clock_t start = std::clock();
  const bool found = recognise(live).has_value();
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  CHECK(seconds < limit_seconds);
  CHECK(found == recognised);
}

// Ours, which the rule may jump to, and one more.
std::vector<std::string> chains_with(const std::string& name) {
  std::vector<std::string> names(chain_names.begin(), chain_names.end());
  names.push_back(name);
  return names;
}

Rule parsed(const std::string& rule, Table table) {
  const TableRules rules = table_with({"-A X " + rule}, chains_with("X"), table);
  return find_chain(rules, "X")->rules.front();
}

struct Flood {
  Table table;
  std::string chain;
  std::string rule;  // without `-A CHAIN`
  bool at_end = false;
  bool foreign = false;
};

RedirectConfig everything(const char* layout) {
  RedirectConfig config;
  config.layout = find_layout(layout);
  config.mode = InterceptionMode::tproxy;
  config.dns_capture = DnsCapture::all;
  config.exclude_interfaces = {"eth1"};
  config.virtual_interfaces = {"tap0"};
  config.drop_invalid = true;
  return config;
}

void fill(Interception& live, const Flood& flood) {
  for (Ruleset& ruleset : live.rulesets) {
    for (TableRules& table : ruleset.tables) {
      Chain* chain = table.table == flood.table ? find_chain(table, flood.chain) : nullptr;
      if (chain == nullptr) continue;
      const auto at = flood.at_end ? chain->rules.end() : chain->rules.begin();
      chain->rules.insert(at, many, parsed(flood.rule, flood.table));
    }
  }
}

const std::vector<Flood>& floods() {
  static const std::vector<Flood> all{
      {Table::nat, "ISTIO_OUTPUT", "-p tcp -m tcp --dport 25 -j RETURN"},
      {Table::nat, "ISTIO_OUTPUT", "-p udp -m udp --dport 25 -j RETURN"},
      {Table::nat, "ISTIO_OUTPUT", "-m owner --uid-owner 5 -j RETURN"},
      {Table::nat, "ISTIO_OUTPUT", "-p tcp -m tcp --dport 1 -m owner --uid-owner 5-9 -j RETURN"},
      {Table::nat, "ISTIO_OUTPUT", "-s 127.0.0.6/32 -o lo -j RETURN"},
      {Table::nat, "ISTIO_OUTPUT", "-d 10.0.0.0/8 -j RETURN", true},
      {Table::nat, "ISTIO_OUTPUT", "-d 10.0.0.0/8 -j ISTIO_REDIRECT", true},
      {Table::nat, "ISTIO_OUTPUT", "-j ISTIO_REDIRECT", true},
      {Table::nat, "ISTIO_OUTPUT", "-p tcp -m tcp --dport 1 -j ISTIO_REDIRECT", true},
      {Table::nat, "ISTIO_OUTPUT_DNS", "-d 10.0.0.1/32 -p tcp -m tcp --dport 53 -j REDIRECT"},
      {Table::nat, "ISTIO_REDIRECT", "-p tcp -j REDIRECT --to-ports 15001"},
      {Table::nat, "PREROUTING", "-i tap0 -j ISTIO_REDIRECT"},
      {Table::nat, "PREROUTING", "-i tap0 -j RETURN", false, true},
      {Table::nat, "PREROUTING", "-i tap0 -j ISTIO_VIRTUAL"},
      {Table::nat, "OUTPUT", "-o eth1 -j RETURN", false, true},
      {Table::nat, "OUTPUT", "-j ISTIO_OUTPUT"},
      {Table::nat, "OUTPUT", "-j ACCEPT", false, true},
      {Table::mangle, "ISTIO_INBOUND", "-p tcp -m tcp --dport 1 -j RETURN", true},
      {Table::mangle, "ISTIO_INBOUND", "-p tcp -m tcp --dport 1 -j ISTIO_TPROXY", true},
      {Table::mangle, "ISTIO_INBOUND", "-s 10.0.0.0/8 -p tcp -j RETURN", true},
      {Table::mangle, "ISTIO_INBOUND", "-i tap0 -j RETURN", true},
      {Table::mangle, "OUTPUT", "-o eth1 -j RETURN", false, true},
      {Table::raw, "ISTIO_OUTPUT_DNS", "-p udp -m udp --sport 1 -j CT --zone 2"},
  };
  return all;
}

// All but what is in PREROUTING is read in the same way in every layout.
void check_floods(const char* layout, const std::string& only_chain = {}) {
  for (const Flood& flood : floods()) {
    if (!only_chain.empty() && flood.chain != only_chain) continue;
    CAPTURE(layout, to_string(flood.table), flood.chain, flood.rule);
    Interception live = interception(everything(layout), {});
    fill(live, flood);
    check_bounded(live, flood.foreign);
  }
}

TEST_CASE("recognition: chains full of rules", "[recognition][hostile]") {
  check_bounded(interception(everything("istio"), {}), true);
  check_floods("istio");
  check_bounded(interception(everything("sluice"), {}), true);
  check_floods("sluice", "PREROUTING");
}

// All that reads a list sees the product of two.
TEST_CASE("recognition: interfaces and destinations that make a product",
          "[recognition][hostile]") {
  Interception live = interception({}, {});
  TableRules& nat = live.rulesets.front().tables.front();
  std::vector<Rule>& prerouting = find_chain(nat, "PREROUTING")->rules;
  std::vector<Rule>& output = find_chain(nat, "ISTIO_OUTPUT")->rules;
  const std::size_t half = many / 2;
  for (std::size_t i = 0; i < half; ++i) {
    prerouting.push_back({.in = Interface{.name = "tap" + std::to_string(i)}});
  }
  // Our jump stands last: what is before it may be ours.
  std::rotate(prerouting.begin(), prerouting.begin() + 1, prerouting.end());
  // Neither equal nor neighbours: in canonical form that would be few rules, which some settings do
  // write.
  for (std::size_t i = 0; i < half; ++i) {
    IpAddress address;
    address.bytes = {10, static_cast<std::uint8_t>(i >> 8U), static_cast<std::uint8_t>(i), 1};
    output.push_back({.destination = AddressMatch{.cidr = make_cidr(address, 32)},
                      .target = Jump{redirect_chain}});
  }
  check_bounded(live, false);
}

TEST_CASE("recognition: lists as long as settings may be", "[recognition][hostile]") {
  RedirectConfig config = everything("istio");
  config.proxy_uids.clear();
  for (std::uint32_t i = 0; i < list_length_limit; ++i) {
    const auto port = static_cast<std::uint16_t>(20000 + i);
    config.proxy_uids.push_back(i);
    config.exclude_outbound_for_uids.push_back({.uids = {{.first = i, .last = i}}});
    config.include_outbound_ports.push_back({.first = port, .last = port});
  }
  config.exclude_inbound_ports = config.include_outbound_ports;
  config.exclude_outbound_ports = config.include_outbound_ports;
  check_bounded(interception(config, {}), true);
  config.proxy_uids.push_back(list_length_limit);
  check_bounded(interception(config, {}), false);
}

}  // namespace
}  // namespace sluice

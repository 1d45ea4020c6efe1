// SPDX-License-Identifier: GPL-2.0-or-later
// A pod's owner may have filled its chains as far as the kernel lets him (rules/kernel/xt/vet.cc).
#include <catch2/catch.hpp>
#include <ctime>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "rules/recognition.h"
#include "rules/text.h"

namespace sluice {
namespace {

constexpr std::size_t many = 130'000;
// Of the processor's time, not the clock's. Linear work takes a fraction of a second, ten times as
// much in a build for the sanitizers; what is quadratic takes minutes.
constexpr double limit_seconds = 20;

double seconds_of(const std::function<void()>& work) {
  const std::clock_t start = std::clock();
  work();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

Rule parsed(const std::string& rule, Table table) {
  const std::string name = to_string(table);
  return parse_save("*" + name + "\n:X - [0:0]\n-A X " + rule + "\nCOMMIT\n")
      .front()
      .tables.front()
      .chains.front()
      .rules.front();
}

struct Flood {
  Table table;
  std::string chain;
  std::string rule;  // without `-A CHAIN`
  bool at_end = false;
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
      {Table::nat, "PREROUTING", "-i tap0 -j RETURN"},
      {Table::nat, "PREROUTING", "-i tap0 -j ISTIO_VIRTUAL"},
      {Table::nat, "OUTPUT", "-o eth1 -j RETURN"},
      {Table::nat, "OUTPUT", "-j ISTIO_OUTPUT"},
      {Table::nat, "OUTPUT", "-j ACCEPT"},
      {Table::mangle, "ISTIO_INBOUND", "-p tcp -m tcp --dport 1 -j RETURN", true},
      {Table::mangle, "ISTIO_INBOUND", "-p tcp -m tcp --dport 1 -j ISTIO_TPROXY", true},
      {Table::mangle, "ISTIO_INBOUND", "-s 10.0.0.0/8 -p tcp -j RETURN", true},
      {Table::mangle, "ISTIO_INBOUND", "-i tap0 -j RETURN", true},
      {Table::mangle, "OUTPUT", "-o eth1 -j RETURN"},
      {Table::raw, "ISTIO_OUTPUT_DNS", "-p udp -m udp --sport 1 -j CT --zone 2"},
  };
  return all;
}

TEST_CASE("recognition: chains full of rules", "[recognition][hostile]") {
  for (const char* layout : {"istio", "sluice"}) {
    for (const Flood& flood : floods()) {
      CAPTURE(layout, to_string(flood.table), flood.chain, flood.rule);
      Interception live = interception(everything(layout), {});
      REQUIRE(recognise(live));
      fill(live, flood);
      bool recognised = false;
      CHECK(seconds_of([&] { recognised = recognise(live).has_value(); }) < limit_seconds);
      // Of others, in a chain of others.
      const bool foreign = flood.rule == "-j ACCEPT";
      CHECK(recognised == foreign);
    }
  }
}

// All that reads a list sees the product of two.
TEST_CASE("recognition: interfaces and destinations that make a product", "[recognition][hostile]") {
  Interception live = interception({}, {});
  TableRules& nat = live.rulesets.front().tables.front();
  std::vector<Rule>& prerouting = find_chain(nat, "PREROUTING")->rules;
  std::vector<Rule>& output = find_chain(nat, "ISTIO_OUTPUT")->rules;
  const std::size_t half = many / 2;
  for (std::size_t i = 0; i < half; ++i) {
    prerouting.insert(prerouting.begin(), {.in = Interface{.name = "tap" + std::to_string(i)}});
  }
  output.insert(output.end(), half, parsed("-d fd00::/8 -j ISTIO_REDIRECT", Table::nat));
  CHECK(seconds_of([&] { CHECK_FALSE(recognise(live)); }) < limit_seconds);
}

TEST_CASE("recognition: lists as long as settings may be", "[recognition][hostile]") {
  RedirectConfig config = everything("istio");
  for (std::uint32_t i = 0; i < 8192; ++i) {
    const auto port = static_cast<std::uint16_t>(20000 + i);
    config.proxy_uids.push_back(i);
    config.exclude_outbound_for_uids.push_back({.uids = {{.first = i, .last = i}}});
    config.include_outbound_ports.push_back({.first = port, .last = port});
  }
  config.proxy_uids.resize(8192);
  config.exclude_inbound_ports = config.include_outbound_ports;
  config.exclude_outbound_ports = config.include_outbound_ports;
  Interception live = interception(config, {});
  CHECK(seconds_of([&] { CHECK(recognise(live)); }) < limit_seconds);
  config.proxy_uids.push_back(8192);
  live = interception(config, {});
  CHECK(seconds_of([&] { CHECK_FALSE(recognise(live)); }) < limit_seconds);
}

}  // namespace
}  // namespace sluice

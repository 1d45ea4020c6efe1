// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/tproxy_mark.h"

#include <catch2/catch.hpp>
#include <optional>
#include <utility>
#include <vector>

namespace sluice {
namespace {

using FoundMark = std::optional<std::uint32_t>;

Rule tproxy_rule(std::uint32_t mark, std::uint32_t mask = 0xffffffff) {
  return {.protocol = Protocol::tcp,
          .matches = {Tcp{}},
          .target = Tproxy{.port = 15006, .mark = mark, .mask = mask}};
}

Rule return_rule(Mark mark) {
  return {.protocol = Protocol::tcp, .matches = {mark}, .target = Return{}};
}

Ruleset mangle_with(std::vector<Chain> chains, Table table = Table::mangle) {
  return {.family = Family::ipv4, .tables = {{.table = table, .chains = std::move(chains)}}};
}

Ruleset with_tproxy(std::vector<Rule> rules) {
  return mangle_with({{.name = "ISTIO_TPROXY", .rules = std::move(rules)}});
}

Ruleset with_inbound(std::vector<Rule> rules) {
  return mangle_with({{.name = "ISTIO_INBOUND", .rules = std::move(rules)}});
}

TEST_CASE("tproxy_mark: the mark that TPROXY sets", "[tproxy_mark]") {
  CHECK(tproxy_mark(with_tproxy({tproxy_rule(1337)})) == FoundMark{1337});
  CHECK(tproxy_mark(with_tproxy({tproxy_rule(0xffffffff)})) == FoundMark{0xffffffff});
  CHECK(tproxy_mark(with_tproxy({return_rule({.value = 5}), tproxy_rule(7), tproxy_rule(8)})) ==
        FoundMark{7});
}

TEST_CASE("tproxy_mark: else the mark that ISTIO_INBOUND lets pass first", "[tproxy_mark]") {
  CHECK(tproxy_mark(with_inbound({return_rule({.value = 42})})) == FoundMark{42});
  const Chain inbound{.name = "ISTIO_INBOUND", .rules = {return_rule({.value = 42})}};
  CHECK(tproxy_mark(mangle_with({inbound, {.name = "ISTIO_TPROXY"}})) == FoundMark{42});
  CHECK(tproxy_mark(mangle_with({inbound, {.name = "ISTIO_TPROXY", .rules = {tproxy_rule(7)}}})) ==
        FoundMark{7});
}

TEST_CASE("tproxy_mark: a mark of some bits or of none is no mark", "[tproxy_mark]") {
  CHECK(tproxy_mark(with_tproxy({tproxy_rule(1337, 0xffff)})) == FoundMark{});
  CHECK(tproxy_mark(with_tproxy({tproxy_rule(0)})) == FoundMark{});
  CHECK(tproxy_mark(with_inbound({return_rule({.value = 42, .mask = 0xff})})) == FoundMark{});
  CHECK(tproxy_mark(with_inbound({return_rule({.value = 0})})) == FoundMark{});
  CHECK(tproxy_mark(with_inbound({return_rule({.value = 42, .negated = true})})) == FoundMark{});
}

TEST_CASE("tproxy_mark: rules of another shape or place name no mark", "[tproxy_mark]") {
  CHECK(tproxy_mark(Ruleset{}) == FoundMark{});
  CHECK(tproxy_mark(mangle_with({})) == FoundMark{});
  CHECK(tproxy_mark(with_tproxy({})) == FoundMark{});
  CHECK(tproxy_mark(with_inbound({})) == FoundMark{});
  // Another table, another chain.
  const Chain chain{.name = "ISTIO_TPROXY", .rules = {tproxy_rule(1337)}};
  CHECK(tproxy_mark(mangle_with({chain}, Table::nat)) == FoundMark{});
  CHECK(tproxy_mark(mangle_with({{.name = "PREROUTING", .rules = chain.rules}})) == FoundMark{});
  // Not the first rule.
  Rule exempt = return_rule({.value = 42});
  CHECK(tproxy_mark(with_inbound({Rule{}, exempt})) == FoundMark{});
  // More than this rule.
  Rule narrower = exempt;
  narrower.in = Interface{.name = "lo"};
  CHECK(tproxy_mark(with_inbound({narrower})) == FoundMark{});
  narrower = exempt;
  narrower.matches.emplace_back(Tcp{});
  CHECK(tproxy_mark(with_inbound({narrower})) == FoundMark{});
  exempt.protocol = Protocol::udp;
  CHECK(tproxy_mark(with_inbound({exempt})) == FoundMark{});
  exempt.protocol = Protocol::tcp;
  exempt.target = Accept{};
  CHECK(tproxy_mark(with_inbound({exempt})) == FoundMark{});
}

}  // namespace
}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "rules/canonical.h"
#include "rules/chains.h"
#include "rules/nft/translate.h"
#include "rules/redirect.h"
#include "rules/text.h"
#include "tests/unit/thrown.h"

namespace sluice::nft {
namespace {

using Texts = std::vector<std::string>;

Ruleset output(const Texts& rules, Family family) {
  Texts lines;
  for (const std::string& rule : rules) lines.push_back("-A ISTIO_OUTPUT " + rule);
  std::string text = "*nat\n:ISTIO_OUTPUT - [0:0]\n";
  for (const std::string& line : lines) text += line + "\n";
  return parse_save(text + "COMMIT\n", family).front();
}

// The rules of ISTIO_OUTPUT with what nf_tables adds to them.
Texts texts_of(const Table& table) {
  Texts texts;
  for (const Chain& chain : table.chains) {
    if (chain.name != "ISTIO_OUTPUT") continue;
    for (const Rule& rule : chain.rules) {
      std::string text = rule.family ? to_string(*rule.family) + std::string(" ") : "";
      if (!rule.source_set.empty()) text += "-s @" + rule.source_set + " ";
      if (!rule.destination_set.empty()) text += "-d @" + rule.destination_set + " ";
      if (!rule.port_set.empty()) text += "--dport @" + rule.port_set + " ";
      texts.push_back(text + to_string("", rule.rule).substr(4));
    }
  }
  return texts;
}

std::vector<Ruleset> both_canonical(const std::vector<Ruleset>& rulesets) {
  std::vector<Ruleset> both{{.family = Family::ipv4}, {.family = Family::ipv6}};
  for (const Ruleset& ruleset : rulesets) {
    both[ruleset.family == Family::ipv4 ? 0 : 1] = canonical(ruleset);
  }
  return both;
}

TEST_CASE("nft: what both families have stands once", "[nft]") {
  const Table table =
      to_nft({output({"-o lo -j RETURN", "-d 127.0.0.1/32 -j RETURN", "-j ACCEPT"}, Family::ipv4),
              output({"-o lo -j RETURN", "-d ::1/128 -j RETURN", "-j ACCEPT"}, Family::ipv6)},
             "x");
  CHECK(table.name == "x");
  CHECK(texts_of(table) == Texts{"-o lo -j RETURN", "IPv4 -d 127.0.0.1/32 -j RETURN",
                                 "IPv6 -d ::1/128 -j RETURN", "-j ACCEPT"});
}

TEST_CASE("nft: what one family has stands where its order puts it", "[nft]") {
  const Texts two{"-o a -j RETURN", "-o b -j RETURN"};
  const Texts reversed{"-o b -j RETURN", "-o a -j RETURN"};
  const auto joined = [](const Texts& ipv4, const Texts& ipv6) {
    return texts_of(to_nft({output(ipv4, Family::ipv4), output(ipv6, Family::ipv6)}, "x"));
  };
  CHECK(joined(two, {"-o b -j RETURN"}) == Texts{"IPv4 -o a -j RETURN", "-o b -j RETURN"});
  CHECK(joined({"-o b -j RETURN"}, two) == Texts{"IPv6 -o a -j RETURN", "-o b -j RETURN"});
  CHECK(joined(two, reversed) ==
        Texts{"IPv4 -o a -j RETURN", "-o b -j RETURN", "IPv6 -o a -j RETURN"});
  CHECK(texts_of(to_nft({output(two, Family::ipv4)}, "x")) ==
        Texts{"IPv4 -o a -j RETURN", "IPv4 -o b -j RETURN"});
  CHECK(texts_of(to_nft({output(two, Family::ipv6)}, "x")) ==
        Texts{"IPv6 -o a -j RETURN", "IPv6 -o b -j RETURN"});
}

TEST_CASE("nft: neighbours become sets", "[nft]") {
  const Texts ports{"-p tcp -m tcp --dport 80 -j RETURN",
                    "-p udp -m udp --dport 80 -j RETURN",
                    "-p tcp -m tcp --dport 90 -j RETURN",
                    "-p udp -m udp --dport 90 -j RETURN",
                    "-p udp -m udp --dport 53 -j DROP",
                    "-d 10.0.0.0/8 -j RETURN",
                    "-d 12.0.0.0/8 -j RETURN",
                    "-s 10.0.0.0/8 -j RETURN",
                    "-s 12.0.0.0/8 -j RETURN"};
  const Table table = to_nft({output(ports, Family::ipv4)}, "x");
  CHECK(texts_of(table) ==
        Texts{"IPv4 --dport @ports -p tcp -j RETURN", "IPv4 --dport @ports -p udp -j RETURN",
              "IPv4 -p udp -m udp --dport 53 -j DROP", "IPv4 -d @destinations-v4 -j RETURN",
              "IPv4 -s @sources-v4 -j RETURN"});
  REQUIRE(table.sets.size() == 3);
  CHECK(table.sets[0] == Set{.name = "ports", .ports = {{80, 80}, {90, 90}}});
  CHECK(table.sets[1] == Set{.name = "destinations-v4",
                             .family = Family::ipv4,
                             .cidrs = {parse_cidr("10.0.0.0/8"), parse_cidr("12.0.0.0/8")}});
}

TEST_CASE("nft: sets are named after the settings, and serve a few rules", "[nft]") {
  RedirectConfig config;
  config.exclude_outbound_ports = {{{1, 1}, {5, 5}}};
  config.exclude_inbound_cidrs = {parse_cidr("10.0.0.0/8"), parse_cidr("12.0.0.0/8")};
  for (std::uint32_t uid = 0; uid < 6; ++uid) {
    config.exclude_outbound_for_uids.push_back(
        {.protocol = Protocol::tcp, .ports = {{1, 1}, {5, 5}}, .uids = {{uid, uid}}});
  }
  const Table table =
      to_nft({redirect_ruleset(config, Family::ipv4), redirect_ruleset(config, Family::ipv6)}, "x");
  Texts names;
  for (const Set& set : table.sets) names.push_back(set.name);
  // IPv6 has no CIDRs: there the tunnel's port is one of the run.
  CHECK(names == Texts{"excludeInboundCidrs-v4", "excludeInboundPorts", "excludeInboundPorts-2",
                       "excludeOutboundPorts", "excludeOutboundForUids",
                       "excludeOutboundForUids-2"});
  for (const std::string& name : names) CHECK(name.size() <= set_name_limit);
}

TEST_CASE("nft: an origin that is no name becomes one", "[nft]") {
  const auto named = [](std::string_view origin) {
    Ruleset ruleset = output({"-d 10.0.0.0/8 -j DROP", "-d 12.0.0.0/8 -j DROP"}, Family::ipv4);
    for (sluice::Rule& rule : ruleset.tables.front().chains.front().rules) rule.origin = {origin};
    const Table table = to_nft({ruleset}, "x");
    CHECK(table.chains.front().rules.front().comment == origin);
    return table.sets.at(0).name;
  };
  CHECK(named("proxyUid: calls") == "proxyUid-v4");
  CHECK(named("a name of more than thirty-one bytes") == "a-v4");
  CHECK(named("aNameOfMoreThanThirtyOneBytes") == "aNameOfMoreThanThirtyO-v4");
  CHECK(named(": x") == "destinations-v4");
}

TEST_CASE("nft: the family in a target is the rule's", "[nft]") {
  const auto filter = [](Family family) {
    Ruleset ruleset{.family = family, .tables = {{.table = sluice::Table::filter}}};
    ruleset.tables[0].chains.push_back(
        {.name = "X", .rules = {{.target = RejectWithPortUnreachable{family}}}});
    ruleset.tables.push_back({.table = sluice::Table::mangle});
    ruleset.tables[1].chains.push_back(
        {.name = "X",
         .rules = {{.protocol = Protocol::tcp,
                    .target = Tproxy{.address = {.family = family}, .port = 15006}}}});
    return ruleset;
  };
  const std::vector<Ruleset> rulesets{filter(Family::ipv4), filter(Family::ipv6)};
  const Table table = to_nft(rulesets, "x");
  for (const Chain& chain : table.chains) {
    REQUIRE(chain.rules.size() == 1);
    CHECK_FALSE(chain.rules.front().family);
  }
  CHECK(from_nft(table) == both_canonical(rulesets));
}

TEST_CASE("nft: what would not be read back is refused", "[nft]") {
  const auto chain = [](const std::string& name, std::optional<Policy> policy, Family family,
                        std::vector<sluice::Rule> rules = {}) {
    return Ruleset{.family = family,
                   .tables = {{.chains = {{.name = name, .policy = policy, .rules = rules}}}}};
  };
  CHECK(message_of([&] { to_nft({chain("X-mangle", std::nullopt, Family::ipv4)}, "x"); }) ==
        R"(IPv4 nat: nf_tables' form has no place for chain "X-mangle" as it is)");
  CHECK_THROWS_AS(to_nft({chain("output-nat", std::nullopt, Family::ipv4, {{}})}, "x"), Error);
  CHECK_THROWS_AS(to_nft({chain("OUTPUT", Policy::drop, Family::ipv4, {{}})}, "x"), Error);
  // An empty chain of one family, where no rule says whose it is.
  CHECK_THROWS_AS(to_nft({chain("X", std::nullopt, Family::ipv4)}, "x"), Error);
  const std::vector<Ruleset> both{chain("X", std::nullopt, Family::ipv4),
                                  chain("X", std::nullopt, Family::ipv6)};
  CHECK(from_nft(to_nft(both, "x")) == both);
}

TEST_CASE("nft: no rules make a table without chains", "[nft]") {
  const Table table = to_nft({}, "x");
  CHECK(table == Table{.name = "x"});
  CHECK(from_nft(table) == both_canonical({}));
}

TEST_CASE("nft: names of chains", "[nft]") {
  using sluice::Table;
  CHECK(chain_name(Table::nat, "ISTIO_OUTPUT") == "ISTIO_OUTPUT");
  CHECK(chain_name(Table::mangle, "ISTIO_OUTPUT") == "ISTIO_OUTPUT-mangle");
  CHECK(chain_name(Table::nat, "OUTPUT") == "output-nat");
  CHECK(chain_name(Table::raw, "PREROUTING") == "prerouting-raw");
  for (const Table table : all_tables) {
    Texts names = builtin_chains(table);
    names.insert(names.end(), {"ISTIO_INBOUND", "x"});
    for (const std::string& name : names) {
      CHECK(parse_chain_name(chain_name(table, name)) == ChainNames{table, name});
    }
  }
  CHECK(parse_chain_name("x-y") == ChainNames{Table::nat, "x-y"});
  CHECK(parse_chain_name("-raw") == ChainNames{Table::nat, "-raw"});
  CHECK(parse_chain_name("") == ChainNames{Table::nat, ""});
  // None of these is a base chain, whatever it is called.
  CHECK(parse_chain_name("OUTPUT") == ChainNames{Table::nat, "OUTPUT-nat"});
  CHECK(parse_chain_name("OUTPUT-mangle") == ChainNames{Table::nat, "OUTPUT-mangle"});
  CHECK(parse_chain_name("Output-mangle") == ChainNames{Table::mangle, "Output"});
  CHECK(parse_chain_name("forward-nat") == ChainNames{Table::nat, "forward-nat"});
}

TEST_CASE("nft: names that are written", "[nft]") {
  for (const sluice::Table table : all_tables) {
    Texts names = builtin_chains(table);
    names.insert(names.end(), chain_names.begin(), chain_names.end());
    for (const std::string& name : names) {
      CHECK(is_written(parse_chain_name(chain_name(table, name))));
    }
  }
  for (const char* name : {"", "input", "output", "OUTPUT", "OUTPUT-nat", "Output-mangle",
                           "forward-nat", "output-raw2", "ISTIO_OUTPUTS", "istio_output",
                           "ISTIO_OUTPUT-nat", "ISTIO_OUTPUT-mangle-raw"}) {
    INFO(name);
    CHECK_FALSE(is_written(parse_chain_name(name)));
  }
}

TEST_CASE("nft: names of tables", "[nft]") {
  for (const char* name : {"sluice", "a", "A.b-c_9", "abcdefghijklmnopqrstuvwxyz01234"}) {
    CHECK(is_table_name(name));
  }
  for (const char* name : {"", "1a", "_a", "a b", "a\"", "a/b", "a\n", "\xc3\xa9",
                           "abcdefghijklmnopqrstuvwxyz012345"}) {
    CHECK_FALSE(is_table_name(name));
  }
}

}  // namespace
}  // namespace sluice::nft

// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rules/redirect.h"
#include "rules/text.h"
#include "tests/unit/tables.h"

namespace sluice {
namespace {

using Json = nlohmann::json;

Json to_document(const std::vector<Ruleset>& rulesets) {
  return Json::parse(to_json(rulesets));
}

Json rule_document(const std::string& rule) {
  const TableRules table = table_with({"-A OUTPUT " + rule}, {"MINE"});
  const Json document = to_document({ruleset_with(table)});
  return document.at(0).at("tables").at(0).at("chains").at(2).at("rules").at(0);
}

TEST_CASE("json: families, tables and chains", "[json]") {
  const TableRules table = table_with({"-A OUTPUT -j MINE"}, {"MINE"}, Table::raw);
  CHECK(to_document({{.family = Family::ipv4}, ruleset_with(table, Family::ipv6)}) ==
        Json::parse(R"([
          {"family": "ipv4", "tables": []},
          {"family": "ipv6", "tables": [{"name": "raw", "chains": [
            {"name": "PREROUTING", "policy": "ACCEPT", "rules": []},
            {"name": "OUTPUT", "policy": "ACCEPT", "rules": [
              {"text": "-A OUTPUT -j MINE", "target": {"jump": "MINE"}}]},
            {"name": "MINE", "rules": []}]}]}])"));
  CHECK(to_document({}) == Json::array());
  TableRules dropping = table;
  dropping.chains.front().policy = Policy::drop;
  CHECK(to_document({ruleset_with(dropping)})[0]["tables"][0]["chains"][0]["policy"] == "DROP");
}

TEST_CASE("json: one member for each part of a rule", "[json]") {
  CHECK(rule_document("! -s 10.0.0.0/8 -d ::1/128 -i eth0 ! -o lo -p tcp -m tcp --sport 1:2 ! "
                      "--dport 80 -m owner --uid-owner 1-2 ! --gid-owner 3 -j ACCEPT") ==
        Json::parse(R"({
          "text": "-A OUTPUT ! -s 10.0.0.0/8 -d ::1/128 -i eth0 ! -o lo -p tcp -m tcp --sport 1:2 ! --dport 80 -m owner --uid-owner 1-2 ! --gid-owner 3 -j ACCEPT",
          "source": {"cidr": "10.0.0.0/8", "negated": true},
          "destination": {"cidr": "::1/128"},
          "in": {"name": "eth0"},
          "out": {"name": "lo", "negated": true},
          "protocol": 6,
          "matches": [
            {"tcp": {"source": {"first": 1, "last": 2},
                     "destination": {"first": 80, "last": 80, "negated": true}}},
            {"owner": {"uid": {"first": 1, "last": 2},
                       "gid": {"first": 3, "last": 3, "negated": true}}}],
          "target": "ACCEPT"})"));
}

TEST_CASE("json: the other matches", "[json]") {
  const auto match = [](const std::string& text) {
    return rule_document(text + " -j RETURN").at("matches").at(0);
  };
  CHECK(match("-p tcp -m tcp") == Json::parse(R"({"tcp": {}})"));
  CHECK(match("-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN") ==
        Json::parse(R"({"tcp": {"flags": {"mask": 23, "compare": 2, "negated": true}}})"));
  CHECK(match("-p udp -m udp --dport 53") ==
        Json::parse(R"({"udp": {"destination": {"first": 53, "last": 53}}})"));
  CHECK(match(R"(-m comment --comment "a b")") ==
        Json::parse(R"({"opaque": "-m comment --comment \"a b\""})"));
}

TEST_CASE("json: targets", "[json]") {
  const auto target = [](const std::string& text) { return rule_document(text).at("target"); };
  CHECK(target("-j ACCEPT") == "ACCEPT");
  CHECK(target("-j DROP") == "DROP");
  CHECK(target("-j RETURN") == "RETURN");
  CHECK(target("-j MINE") == Json::parse(R"({"jump": "MINE"})"));
  CHECK(target("-g MINE") == Json::parse(R"({"goto": "MINE"})"));
  CHECK(target("-p tcp -j REDIRECT --to-ports 15001") ==
        Json::parse(R"({"redirect": {"port": 15001}})"));
  CHECK(target("-p tcp -j REJECT --reject-with tcp-reset") ==
        Json::parse(R"({"reject": {"with": "tcp-reset"}})"));
  CHECK(target("-j MASQUERADE") == Json::parse(R"({"opaque": "-j MASQUERADE"})"));
}

TEST_CASE("json: what is not UTF-8 does not break the document", "[json]") {
  const Json document = rule_document("-m comment --comment \"\xff\xfe\" -j RETURN");
  CHECK(document.at("target") == "RETURN");
}

TEST_CASE("json: the texts of a generated rule set are those of the save form", "[json]") {
  const Ruleset ruleset = redirect_ruleset({}, Family::ipv4);
  std::string texts;
  const Json document = to_document({ruleset});
  for (const Json& chain : document[0]["tables"][0]["chains"]) {
    for (const Json& rule : chain["rules"]) texts += rule["text"].get<std::string>() + "\n";
  }
  const std::string save = to_save(ruleset);
  const std::size_t first = save.find("-A ");
  CHECK(texts == save.substr(first, save.find("COMMIT") - first));
}

}  // namespace
}  // namespace sluice

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

TEST_CASE("json: where a rule comes from, if it is known", "[json]") {
  Ruleset ruleset = ruleset_with(table_with({"-A OUTPUT -j RETURN"}));
  const auto rule = [&] { return to_document({ruleset})[0]["tables"][0]["chains"][2]["rules"][0]; };
  CHECK_FALSE(rule().contains("origin"));
  ruleset.tables[0].chains[2].rules[0].origin = {"dropInvalid"};
  CHECK(rule()["origin"] == "dropInvalid");
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
  CHECK(match("-p tcp -m multiport ! --dports 53,8000:8100") == Json::parse(R"({"multiport": {
          "destinations": [{"first": 53, "last": 53}, {"first": 8000, "last": 8100}],
          "negated": true}})"));
  CHECK(match("-m mark --mark 0x539") ==
        Json::parse(R"({"mark": {"value": 1337, "mask": 4294967295}})"));
  CHECK(match("-m connmark ! --mark 0x1/0xff") ==
        Json::parse(R"({"connmark": {"value": 1, "mask": 255, "negated": true}})"));
  CHECK(match("-m conntrack ! --ctstate RELATED,UNTRACKED") ==
        Json::parse(R"({"conntrack": {"states": 260, "negated": true}})"));
  CHECK(match("-m limit --limit 10/sec --limit-burst 20") ==
        Json::parse(R"({"limit": {"period": 1000, "burst": 20}})"));
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
  for (const char* with : {"icmp-port-unreachable", "icmp6-port-unreachable"}) {
    CHECK(target(std::string("-j REJECT --reject-with ") + with) ==
          Json::parse(R"({"reject": {"with": "port-unreachable"}})"));
  }
  CHECK(target("-j MARK --set-xmark 0x1/0xff") ==
        Json::parse(R"({"setMark": {"value": 1, "mask": 255}})"));
  CHECK(target("-j CONNMARK --save-mark") == "saveMark");
  CHECK(target("-j CONNMARK --restore-mark") == "restoreMark");
  CHECK(target("-j TPROXY --on-port 15001 --on-ip :: --tproxy-mark 0x539/0xfff") ==
        Json::parse(R"({"tproxy": {"address": "::", "port": 15001, "mark": 1337, "mask": 4095}})"));
  CHECK(target("-j CT --zone 2") == Json::parse(R"({"ct": {"zone": 2}})"));
  CHECK(target(R"(-j NFLOG --nflog-prefix "a \"b\"" --nflog-group 1)") ==
        Json::parse(R"({"nflog": {"group": 1, "prefix": "a \"b\""}})"));
  CHECK(target("-j MASQUERADE") == Json::parse(R"({"opaque": "-j MASQUERADE"})"));
}

TEST_CASE("json: what is not UTF-8 does not break the document", "[json]") {
  const Json document = rule_document("-m comment --comment \"\xff\xfe\" -j RETURN");
  CHECK(document.at("target") == "RETURN");
  CHECK(rule_document("-j NFLOG --nflog-prefix \"\xff\"").at("target").at("nflog").at("prefix") ==
        "\xef\xbf\xbd");
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

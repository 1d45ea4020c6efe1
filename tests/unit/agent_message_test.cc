// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/agent_message.h"

#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <variant>

#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;

const Sandbox sandbox{.name_space = "demo",
                      .name = "web-0",
                      .uid = "11111111-2222",
                      .container_id = "c0ffee",
                      .netns = "/run/netns/pod"};

ReportMessage whole_report() {
  return {.command = "ADD",
          .sandbox = sandbox,
          .outcome = "failed",
          .reason = "injected",
          .code = 7,
          .microseconds = std::uint64_t{1} << 40,
          .backend = "xtables",
          .plugin_version = "1.2.3",
          .log = {{.level = "error", .text = "a \"b\"\nc"}, {.level = "info", .text = ""}}};
}

ReportMessage report_in(const std::string& packet) {
  return std::get<ReportMessage>(parse_agent_request(packet));
}

// `packet` as another version sends it.
std::string changed(const std::string& packet, const char* pointer, const Json& value) {
  Json object = Json::parse(packet);
  object[Json::json_pointer(pointer)] = value;
  return object.dump();
}

TEST_CASE("agent message: a look-up comes out as it went in", "[agent-message]") {
  const std::string packet =
      print_lookup({.sandbox = sandbox, .deadline_ms = 1500, .annotations_known = true});
  CHECK(Json::parse(packet).at("version") == 1);
  const auto read = std::get<LookupMessage>(parse_agent_request(packet));
  CHECK(read.sandbox == sandbox);
  CHECK(read.deadline_ms == 1500);
  CHECK(read.annotations_known);
}

TEST_CASE("agent message: a report comes out as it went in", "[agent-message]") {
  const ReportMessage sent = whole_report();
  const ReportMessage read = report_in(print_report(sent));
  CHECK(read.command == "ADD");
  CHECK(read.sandbox == sandbox);
  CHECK(read.outcome == "failed");
  CHECK(read.reason == "injected");
  CHECK(read.code == 7);
  CHECK(read.microseconds == sent.microseconds);
  CHECK(read.backend == "xtables");
  CHECK(read.plugin_version == "1.2.3");
  REQUIRE(read.log.size() == 2);
  CHECK(read.log[0].level == "error");
  CHECK(read.log[0].text == "a \"b\"\nc");
  CHECK(read.log[1].level == "info");
}

TEST_CASE("agent message: a request for the status", "[agent-message]") {
  const AgentRequest read = parse_agent_request(print_status_request());
  CHECK(std::holds_alternative<StatusMessage>(read));
}

TEST_CASE("agent message: an answer is a pod or a reason", "[agent-message]") {
  const Json pod = {{"kind", "Pod"}, {"spec", {{"containers", Json::array()}}}};
  CHECK(parse_lookup_answer(print_answer({.pod = pod})).pod == pod);
  const LookupAnswer unknown = parse_lookup_answer(print_answer({.unknown = "no such pod"}));
  CHECK(!unknown.pod);
  CHECK(unknown.unknown == "no such pod");
}

TEST_CASE("agent message: a newer version and its keys", "[agent-message]") {
  std::string packet = changed(print_report(whole_report()), "/version", 2);
  packet = changed(packet, "/novelty", {{"deep", {1, 2, 3}}});
  packet = changed(packet, "/sandbox/novelty", true);
  packet = changed(packet, "/log/0/novelty", 1);
  const ReportMessage read = report_in(packet);
  CHECK(read.sandbox == sandbox);
  CHECK(read.log.size() == 2);
  const LookupAnswer answer =
      parse_lookup_answer(R"({"version": 2, "novelty": [], "pod": {"kind": "Pod"}})");
  CHECK(answer.pod == Json{{"kind", "Pod"}});
}

TEST_CASE("agent message: an older version lacks keys", "[agent-message]") {
  const auto lookup =
      std::get<LookupMessage>(parse_agent_request(R"({"kind": "lookup", "sandbox": null})"));
  CHECK(lookup.sandbox == Sandbox{});
  CHECK(lookup.deadline_ms == 0);
  CHECK(!lookup.annotations_known);
  const ReportMessage report = report_in(R"({"kind": "report"})");
  CHECK(report.command.empty());
  CHECK(report.code == 0);
  CHECK(report.log.empty());
  CHECK(parse_lookup_answer("{}").unknown == "the agent's answer says nothing");
  CHECK(parse_lookup_answer(R"({"pod": null})").unknown == "the agent's answer says nothing");
}

TEST_CASE("agent message: what is no request", "[agent-message]") {
  const auto refused = [](const std::string& packet) {
    return message_of([&] { parse_agent_request(packet); });
  };
  CHECK_THAT(refused(""), Contains("not valid JSON"));
  CHECK_THAT(refused("{"), Contains("not valid JSON"));
  CHECK_THAT(refused(std::string("{}\0", 3)), Contains("NUL"));
  CHECK_THAT(refused(R"({"kind": "status"} {})"), Contains("not valid JSON"));
  CHECK_THAT(refused("{\"kind\": \"\xff\"}"), Contains("not valid JSON"));
  CHECK_THAT(refused(std::string(5000, '[')), Contains("nested deeper"));
  CHECK(refused("[]") == "the agent message is not an object");
  CHECK_THAT(refused("{}"), Contains("of kind \"\""));
  CHECK_THAT(refused(R"({"kind": "eject\n"})"), Contains(R"(of kind "eject\x0a" is not known)"));
  CHECK_THAT(refused(R"({"kind": 1})"), Contains("kind is not a string"));
}

TEST_CASE("agent message: a value of the wrong type is named", "[agent-message]") {
  const std::string lookup = print_lookup({.sandbox = sandbox});
  const std::string report = print_report(whole_report());
  const auto refused = [](const std::string& packet, const char* pointer, const Json& value) {
    return message_of([&] { parse_agent_request(changed(packet, pointer, value)); });
  };
  CHECK_THAT(refused(lookup, "/sandbox", "x"), Contains("sandbox is not an object"));
  CHECK_THAT(refused(lookup, "/sandbox/uid", 5), Contains("uid is not a string"));
  for (const Json& value : {Json("1"), Json(-1), Json(1.5), Json::array()}) {
    CHECK_THAT(refused(lookup, "/deadlineMs", value), Contains("deadlineMs is not a whole number"));
  }
  CHECK_THAT(refused(lookup, "/deadlineMs", std::uint64_t{1} << 32U), Contains("too large"));
  CHECK_THAT(refused(report, "/code", std::uint64_t{1} << 31U), Contains("code is too large"));
  CHECK_THAT(refused(lookup, "/annotationsKnown", "true"), Contains("is not true or false"));
  CHECK_THAT(refused(report, "/log", "x"), Contains("log is not an array"));
  CHECK_THAT(refused(report, "/log/0", "x"), Contains("no line"));
  CHECK_THAT(refused(report, "/log/0/text", 1), Contains("text is not a string"));
  CHECK_THAT(message_of([] { parse_lookup_answer(R"({"unknown": 1})"); }),
             Contains("unknown is not a string"));
  CHECK_THAT(message_of([] { parse_lookup_answer("7"); }), Contains("not an object"));
}

TEST_CASE("agent message: the largest numbers pass", "[agent-message]") {
  ReportMessage report = whole_report();
  report.code = std::numeric_limits<int>::max();
  report.microseconds = std::numeric_limits<std::uint64_t>::max();
  const ReportMessage read = report_in(print_report(report));
  CHECK(read.code == report.code);
  CHECK(read.microseconds == report.microseconds);
}

TEST_CASE("agent message: text that is not UTF-8 is mended", "[agent-message]") {
  ReportMessage report = whole_report();
  report.sandbox.name =
      "a\xff"
      "b";
  report.log[0].text = "\xc3";
  const ReportMessage read = report_in(print_report(report));
  CHECK(read.sandbox.name ==
        "a\xef\xbf\xbd"
        "b");
  CHECK(read.log[0].text == "\xef\xbf\xbd");
  const auto lookup =
      std::get<LookupMessage>(parse_agent_request(print_lookup({.sandbox = report.sandbox})));
  CHECK(lookup.sandbox.name == read.sandbox.name);
}

TEST_CASE("agent message: every packet fits", "[agent-message]") {
  // Each of these bytes takes six when escaped; the second takes three in place of one.
  const char byte = GENERATE('\x01', '\xff', 'x');
  const std::string huge(std::size_t{3} * 1024 * 1024, byte);
  const Sandbox large{
      .name_space = huge, .name = huge, .uid = huge, .container_id = huge, .netns = huge};
  CHECK(print_lookup({.sandbox = large}).size() <= agent_packet_limit);
  ReportMessage report{.command = huge,
                       .sandbox = large,
                       .outcome = huge,
                       .reason = huge,
                       .backend = huge,
                       .plugin_version = huge,
                       .log = {}};
  SECTION("one huge line") {
    report.log = {{.level = huge, .text = huge}};
  }
  SECTION("many lines") {
    report.log.assign(100'000, {.level = "info", .text = std::string(100, byte)});
  }
  SECTION("many empty lines") {
    report.log.assign(1'000'000, {});
  }
  const std::string packet = print_report(report);
  CHECK(packet.size() <= agent_packet_limit);
  CHECK(report_in(packet).outcome.size() >= 4096);
}

TEST_CASE("agent message: of a long log the first lines stay, in order", "[agent-message]") {
  ReportMessage report = whole_report();
  report.log.clear();
  for (int i = 0; i < 10'000; ++i) {
    report.log.push_back({.level = "warn", .text = "line " + std::to_string(i)});
  }
  const ReportMessage read = report_in(print_report(report));
  REQUIRE(read.log.size() > 1000);
  CHECK(read.log.size() < 10'000);
  CHECK(read.log.back().text == "line " + std::to_string(read.log.size() - 1));
}

TEST_CASE("agent message: a pod that does not fit is unknown", "[agent-message]") {
  // As text it would fit.
  const Json pod = {{"kind", "Pod"}, {"x", std::string(agent_packet_limit / 2, '\x01')}};
  const std::string packet = print_answer({.pod = pod});
  CHECK(packet.size() <= agent_packet_limit);
  const LookupAnswer answer = parse_lookup_answer(packet);
  CHECK(!answer.pod);
  CHECK(answer.unknown == "the pod does not fit in a message");
}

}  // namespace
}  // namespace sluice::cni

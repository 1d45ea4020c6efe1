// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/agent_message.h"

#include <utility>

#include "cni/object.h"
#include "rules/error.h"

namespace sluice::cni {
namespace {

Json sandbox_json(const Sandbox& sandbox) {
  return {{"namespace", sandbox.name_space},
          {"name", sandbox.name},
          {"uid", sandbox.uid},
          {"containerID", sandbox.container_id},
          {"netns", sandbox.netns}};
}

Json message(const char* kind) {
  return {{"version", agent_protocol_version}, {"kind", kind}};
}

std::string text_of(const Json& object, const char* key) {
  return string_or(member(object, key), "", std::string("agent message: ") + key);
}

template <class Number>
Number number_of(const Json& object, const char* key) {
  const Json& value = member(object, key);
  if (value.is_null()) return 0;
  if (!value.is_number_integer() || (value.is_number_integer() && !value.is_number_unsigned())) {
    throw Error(std::string("agent message: ") + key + " is not a whole number");
  }
  return value.get<Number>();
}

bool flag_of(const Json& object, const char* key) {
  const Json& value = member(object, key);
  if (value.is_null()) return false;
  if (!value.is_boolean())
    throw Error(std::string("agent message: ") + key + " is not true or false");
  return value.get<bool>();
}

Sandbox read_sandbox(const Json& object) {
  return {.name_space = text_of(object, "namespace"),
          .name = text_of(object, "name"),
          .uid = text_of(object, "uid"),
          .container_id = text_of(object, "containerID"),
          .netns = text_of(object, "netns")};
}

ReportMessage read_report(const Json& object) {
  ReportMessage report{.command = text_of(object, "command"),
                       .sandbox = read_sandbox(member(object, "sandbox")),
                       .outcome = text_of(object, "outcome"),
                       .reason = text_of(object, "reason"),
                       .code = number_of<int>(object, "code"),
                       .microseconds = number_of<std::uint64_t>(object, "microseconds"),
                       .backend = text_of(object, "backend"),
                       .plugin_version = text_of(object, "pluginVersion"),
                       .log = {}};
  for (const Json& line : array_or_empty(member(object, "log"), "agent message: log")) {
    report.log.push_back({.level = text_of(line, "level"), .text = text_of(line, "text")});
  }
  return report;
}

Json parse_packet(std::string_view packet) {
  Json object = parse_json(packet, "the agent message");
  if (!object.is_object()) throw Error("the agent message is not an object");
  return object;
}

}  // namespace

std::string print_lookup(const LookupMessage& lookup) {
  Json object = message("lookup");
  object["sandbox"] = sandbox_json(lookup.sandbox);
  object["deadlineMs"] = lookup.deadline_ms;
  object["annotationsKnown"] = lookup.annotations_known;
  return to_line(object);
}

std::string print_report(const ReportMessage& report) {
  Json object = message("report");
  object["command"] = report.command;
  object["sandbox"] = sandbox_json(report.sandbox);
  object["outcome"] = report.outcome;
  object["reason"] = report.reason;
  object["code"] = report.code;
  object["microseconds"] = report.microseconds;
  object["backend"] = report.backend;
  object["pluginVersion"] = report.plugin_version;
  // Escaping makes at most six bytes of one.
  std::size_t room = agent_packet_limit / 6 / 2;
  Json log = Json::array();
  for (const ReportMessage::Line& line : report.log) {
    if (line.text.size() > room) break;
    room -= line.text.size();
    log.push_back({{"level", line.level}, {"text", line.text}});
  }
  object["log"] = std::move(log);
  return to_line(object);
}

std::string print_status_request() {
  return to_line(message("status"));
}

std::string print_answer(const LookupAnswer& answer) {
  Json object = {{"version", agent_protocol_version}};
  if (answer.pod) {
    object["pod"] = *answer.pod;
  } else {
    object["unknown"] = answer.unknown;
  }
  return to_line(object);
}

AgentRequest parse_agent_request(std::string_view packet) {
  const Json object = parse_packet(packet);
  const std::string kind = text_of(object, "kind");
  if (kind == "lookup") {
    return LookupMessage{.sandbox = read_sandbox(member(object, "sandbox")),
                         .deadline_ms = number_of<std::uint32_t>(object, "deadlineMs"),
                         .annotations_known = flag_of(object, "annotationsKnown")};
  }
  if (kind == "report") return read_report(object);
  if (kind == "status") return StatusMessage{};
  throw Error("an agent message of kind " + quote(kind) + " is not known to this version");
}

LookupAnswer parse_lookup_answer(std::string_view packet) {
  Json object = parse_packet(packet);
  LookupAnswer answer;
  if (member(object, "pod").is_object()) {
    answer.pod = std::move(object["pod"]);
  } else {
    answer.unknown = text_of(object, "unknown");
    if (answer.unknown.empty()) answer.unknown = "the agent's answer says nothing";
  }
  return answer;
}

}  // namespace sluice::cni

// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/agent_message.h"

#include <limits>
#include <utility>

#include "cni/object.h"
#include "rules/error.h"

namespace sluice::cni {
namespace {

// Longer than any name, UID or path that means something, and short enough that five of them,
// escaped, leave most of a packet free.
constexpr std::size_t text_limit = 4096;
// What an operator may want to read of one call.
constexpr std::size_t log_limit = std::size_t{64} * 1024;

std::string cut(const std::string& text) {
  return text.substr(0, text_limit);
}

Json sandbox_json(const Sandbox& sandbox) {
  return {{"namespace", cut(sandbox.name_space)},
          {"name", cut(sandbox.name)},
          {"uid", cut(sandbox.uid)},
          {"containerID", cut(sandbox.container_id)},
          {"netns", cut(sandbox.netns)}};
}

// The first lines, as many as fit.
Json log_json(const std::vector<ReportMessage::Line>& log) {
  Json lines = Json::array();
  std::size_t room = log_limit;
  for (const ReportMessage::Line& line : log) {
    if (line.text.size() > room) break;
    Json entry = {{"level", cut(line.level)}, {"text", line.text}};
    const std::size_t size = to_line(entry).size() + 1;
    if (size > room) break;
    room -= size;
    lines.push_back(std::move(entry));
  }
  return lines;
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
  if (!value.is_number_unsigned()) {
    throw Error(std::string("agent message: ") + key + " is not a whole number");
  }
  const auto number = value.get<std::uint64_t>();
  if (number > static_cast<std::uint64_t>(std::numeric_limits<Number>::max())) {
    throw Error(std::string("agent message: ") + key + " is too large");
  }
  return static_cast<Number>(number);
}

bool flag_of(const Json& object, const char* key) {
  const Json& value = member(object, key);
  if (value.is_null()) return false;
  if (!value.is_boolean()) {
    throw Error(std::string("agent message: ") + key + " is not true or false");
  }
  return value.get<bool>();
}

Sandbox sandbox_of(const Json& message) {
  const Json& object = member(message, "sandbox");
  if (!object.is_null() && !object.is_object()) {
    throw Error("agent message: sandbox is not an object");
  }
  return {.name_space = text_of(object, "namespace"),
          .name = text_of(object, "name"),
          .uid = text_of(object, "uid"),
          .container_id = text_of(object, "containerID"),
          .netns = text_of(object, "netns")};
}

ReportMessage read_report(const Json& object) {
  ReportMessage report{.command = text_of(object, "command"),
                       .sandbox = sandbox_of(object),
                       .outcome = text_of(object, "outcome"),
                       .reason = text_of(object, "reason"),
                       .code = number_of<int>(object, "code"),
                       .microseconds = number_of<std::uint64_t>(object, "microseconds"),
                       .backend = text_of(object, "backend"),
                       .plugin_version = text_of(object, "pluginVersion"),
                       .log = {}};
  for (const Json& line : array_or_empty(member(object, "log"), "agent message: log")) {
    if (!line.is_object()) throw Error("agent message: log holds something that is no line");
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
  object["command"] = cut(report.command);
  object["sandbox"] = sandbox_json(report.sandbox);
  object["outcome"] = cut(report.outcome);
  object["reason"] = cut(report.reason);
  object["code"] = report.code;
  object["microseconds"] = report.microseconds;
  object["backend"] = cut(report.backend);
  object["pluginVersion"] = cut(report.plugin_version);
  object["log"] = log_json(report.log);
  return to_line(object);
}

std::string print_status_request() {
  return to_line(message("status"));
}

std::string print_answer(const LookupAnswer& answer) {
  Json object = {{"version", agent_protocol_version}};
  if (!answer.pod) {
    object["unknown"] = cut(answer.unknown);
    return to_line(object);
  }
  object["pod"] = *answer.pod;
  std::string packet = to_line(object);
  if (packet.size() <= agent_packet_limit) return packet;
  return print_answer({.pod = std::nullopt, .unknown = "the pod does not fit in a message"});
}

AgentRequest parse_agent_request(std::string_view packet) {
  const Json object = parse_packet(packet);
  const std::string kind = text_of(object, "kind");
  if (kind == "lookup") {
    return LookupMessage{.sandbox = sandbox_of(object),
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

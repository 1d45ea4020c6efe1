// SPDX-License-Identifier: GPL-2.0-or-later
// What plugin, command line and node agent say to each other: one JSON object per packet of a unix
// SOCK_SEQPACKET socket. Every message has a "version"; keys that are not known are ignored, and a
// key is never given another meaning, so that either side may be the older one. A Pod travels as
// the Kubernetes API spells it (v1.Pod), reduced to what read_pod_object() reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cni/json.h"

namespace sluice::cni {

inline constexpr int agent_protocol_version = 1;
inline constexpr const char* default_agent_socket = "/run/sluice/agent.sock";
// A packet is at most this large; a pod's annotations alone may be 256 KiB, six times that escaped.
inline constexpr std::size_t agent_packet_limit = std::size_t{2} * 1024 * 1024;

// Which sandbox of which pod asks. Strings are as the runtime passed them.
struct Sandbox {
  std::string name_space = {};
  std::string name = {};
  std::string uid = {};  // K8S_POD_UID; empty where the runtime does not tell it
  std::string container_id = {};
  std::string netns = {};

  bool operator==(const Sandbox&) const = default;
};

// "What is this pod?"
struct LookupMessage {
  Sandbox sandbox = {};
  std::uint32_t deadline_ms = 0;   // the plugin waits this long
  bool annotations_known = false;  // the runtime forwarded them: the answer may leave them out
};

// "This is what became of a call." No answer.
struct ReportMessage {
  struct Line {
    std::string level = {};  // as cni::to_string(LogLevel)
    std::string text = {};
  };
  std::string command = {};  // ADD, DEL, CHECK...
  Sandbox sandbox = {};
  std::string outcome = {};  // redirected, passed, failed, or done for the other verbs
  std::string reason = {};   // cni::to_string(Reason), or empty where nothing was decided
  int code = 0;              // of the CNI error; 0 without one
  std::uint64_t microseconds = 0;
  std::string backend = {};  // Backend::name() of the one asked; empty where none was
  std::string plugin_version = {};
  std::vector<Line> log = {};
};

// "How is this node?" The answer is NodeStatus JSON (agent/tell/status.h) in one or more packets,
// concatenated, ended by an empty packet or the end of the connection.
struct StatusMessage {};

using AgentRequest = std::variant<LookupMessage, ReportMessage, StatusMessage>;

// The answer to a LookupMessage: the Pod, or why it is not known.
struct LookupAnswer {
  std::optional<Json> pod = {};
  std::string unknown = {};  // a sentence fragment: "the API server has no such pod"
};

// One packet each, at most agent_packet_limit. Texts that are not UTF-8 are mended, and of those of
// a sandbox 4096 bytes are kept. A report has as many of the first log lines as fit in 64 KiB: the
// kernel wants the memory of a packet in one piece, and a report must not fail for the lack of it.
// A Pod that is too large is answered as unknown.
std::string print_lookup(const LookupMessage& lookup);
std::string print_report(const ReportMessage& report);
std::string print_status_request();
std::string print_answer(const LookupAnswer& answer);

// A key that is absent or null has the default above. Throws Error if the packet is no message that
// this version understands, or a key that it reads is of another type; the sentence says why.
AgentRequest parse_agent_request(std::string_view packet);
LookupAnswer parse_lookup_answer(std::string_view packet);

}  // namespace sluice::cni

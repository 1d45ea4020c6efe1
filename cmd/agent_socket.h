// SPDX-License-Identifier: GPL-2.0-or-later
// Talking to the node agent: a unix SOCK_SEQPACKET socket, one message per packet
// (cni/agent_message.h). A connection serves one request. Whatever the agent does or does not do,
// nobody waits for it beyond the deadline.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::cmd {

using Deadline = std::chrono::steady_clock::time_point;

// All the packets of one answer.
inline constexpr std::size_t agent_answer_limit = std::size_t{64} * 1024 * 1024;

// Sends `request` to the agent that listens at `path` and returns the packet that it answers with.
// Throws Error: ETIMEDOUT at the deadline; EPERM if it is not root of our user namespace that
// listens (SO_PEERCRED, unix(7)), which is then sent nothing; ENODATA if the agent closes the
// connection; EMSGSIZE if the answer is larger than cni::agent_packet_limit; else the errno of the
// call that failed (ENOENT and ECONNREFUSED: no agent is there); what throw_if_interrupted()
// throws.
std::string ask_agent(const std::string& path, std::string_view request, Deadline deadline);

// As ask_agent for an answer of several packets: they are concatenated, up to an empty one or the
// end of the connection. EMSGSIZE also if all of them are larger than agent_answer_limit.
std::string ask_agent_for_all(const std::string& path, std::string_view request, Deadline deadline);

// Sends `message` if that can be done without waiting, and without telling it to a peer that is
// not root; whether it was sent. Whether the agent reads it is another matter.
bool tell_agent(const std::string& path, std::string_view message);

}  // namespace sluice::cmd

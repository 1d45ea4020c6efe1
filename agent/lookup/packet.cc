// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/lookup/packet.h"

#include <sys/socket.h>

#include <cerrno>

#include "cni/agent_message.h"

namespace sluice::agent {
namespace {

void grow_send_buffer(int connection, std::size_t size) {
  // The kernel doubles what it is told, for its own records of each packet.
  const int wanted = static_cast<int>(size);
  if (setsockopt(connection, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted) != 0) {
    setsockopt(connection, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
  }
}

}  // namespace

Sent send_packet(int connection, std::string_view packet) {
  if (packet.size() > cni::agent_packet_limit) return Sent::too_large;
  for (const bool last_try : {false, true}) {
    if (send(connection, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
      return Sent::whole;
    }
    if (errno == EAGAIN || errno == EINTR) return Sent::later;
    // The kernel has no run of free pages that is long enough.
    if (errno == ENOBUFS || errno == ENOMEM) return Sent::too_large;
    if (errno != EMSGSIZE) return Sent::broken;
    if (!last_try) grow_send_buffer(connection, packet.size());
  }
  return Sent::too_large;
}

// Not value-initialized: that would touch every page.
PacketBuffer::PacketBuffer() : bytes_(new char[cni::agent_packet_limit]) {}

PacketBuffer::Got PacketBuffer::receive(int connection) {
  const ssize_t got =
      recv(connection, bytes_.get(), cni::agent_packet_limit, MSG_DONTWAIT | MSG_TRUNC);
  size_ = 0;
  if (got < 0) return errno == EAGAIN || errno == EINTR ? Got::nothing : Got::end;
  // An empty packet looks like the end; no message is empty.
  if (got == 0) return Got::end;
  if (static_cast<std::size_t>(got) > cni::agent_packet_limit) return Got::too_large;
  size_ = static_cast<std::size_t>(got);
  return Got::packet;
}

}  // namespace sluice::agent

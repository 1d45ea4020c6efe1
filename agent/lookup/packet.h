// SPDX-License-Identifier: GPL-2.0-or-later
// Packets of a unix SOCK_SEQPACKET connection that does not block.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace sluice::agent {

enum class Sent : std::uint8_t {
  whole,
  later,      // the peer has not read enough yet
  too_large,  // more than the kernel takes in one packet
  broken,     // the connection is of no use any more
};

// A packet that is larger than the connection's buffer makes it larger first: beyond
// net.core.wmem_max with CAP_NET_ADMIN only.
Sent send_packet(int connection, std::string_view packet);

// Room for one packet, of which only what is used takes memory.
class PacketBuffer {
 public:
  PacketBuffer();

  enum class Got : std::uint8_t { packet, nothing, too_large, end };
  // The next packet is text() until the next call.
  Got receive(int connection);
  std::string_view text() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// Requests to the kernel over netlink(7), through libnl-3's core.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

struct nl_msg;
struct nl_sock;

namespace sluice::kernel {

struct FreeMessage {
  void operator()(nl_msg* message) const;
};
using NetlinkMessage = std::unique_ptr<nl_msg, FreeMessage>;

// An empty message of this type. Throws Error (ENOMEM).
NetlinkMessage make_message(std::uint16_t type);

// Copies `size` bytes behind what the message holds already. Throws Error (ENOMEM).
void append(nl_msg& message, const void* data, std::size_t size);

// A socket of the network namespace of the thread that made it.
class NetlinkSocket {
 public:
  // `protocol` as in netlink(7), NETLINK_ROUTE. Throws Error.
  explicit NetlinkSocket(int protocol);
  NetlinkSocket(const NetlinkSocket&) = delete;
  NetlinkSocket(NetlinkSocket&&) = delete;
  NetlinkSocket& operator=(const NetlinkSocket&) = delete;
  NetlinkSocket& operator=(NetlinkSocket&&) = delete;
  ~NetlinkSocket();

  nl_sock& get() const { return *socket_; }

  // Sends the message, which may be sent again, and waits for the kernel's acknowledgement. `flags`
  // are NLM_F_*. Returns 0 or the errno in it. Throws Error if there was none: a process of
  // the pod may have filled the socket (ENOBUFS; ETIMEDOUT after one second).
  int request(nl_msg& message, std::uint16_t flags);

  // Asks for a dump and appends its messages to `found`. Returns 0 or the kernel's errno. Starts
  // again if somebody changed what is dumped; throws Error (EAGAIN) if that does not end.
  int dump(nl_msg& message, std::vector<NetlinkMessage>& found);

 private:
  struct FreeSocket {
    void operator()(nl_sock* socket) const;
  };

  std::unique_ptr<nl_sock, FreeSocket> socket_;
};

}  // namespace sluice::kernel

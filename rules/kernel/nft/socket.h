// SPDX-License-Identifier: GPL-2.0-or-later
// nfnetlink (NETLINK_NETFILTER) as nf_tables uses it: lists, and transactions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "rules/kernel/netlink.h"
#include "rules/kernel/nft/batch.h"
#include "rules/kernel/nft/bytes.h"
#include "rules/kernel/nft/dump.h"

namespace sluice::kernel::nft {

// How a transaction ended.
struct Outcome {
  // Nobody told: the socket's buffer was full. Whether it was done must be seen.
  bool known = true;
  int errnum = 0;              // 0: done
  std::uint32_t sequence = 0;  // of the message that failed
};

// Of the network namespace of the thread that made it. Waits up to a second for an answer
// (ETIMEDOUT).
class Socket {
 public:
  // nullptr where the kernel has no nf_tables. Throws Error.
  static std::unique_ptr<Socket> open();

  // Of the namespace's rules; every transaction in it is a new one. Throws Error.
  std::uint32_t generation();

  // Sends a list_request() and gives each message of the answer to `take`. False if somebody
  // changed what is listed, or took it away: start again. Throws Error; after one that `take` threw
  // the socket is of no use any more, for the rest of the answer is in it.
  bool list(Bytes request, const std::function<void(View)>& take);

  // Sends the batch, which is finished by it. Throws Error if it could not be sent.
  Outcome commit(Batch& batch);

  // The socket's address, as others in the namespace can send to it.
  std::uint32_t port() const;

 private:
  Socket();

  int descriptor() const;
  void send(View bytes) const;
  // The next datagram; empty if it is not the kernel's, or there is none and `flags` (MSG_DONTWAIT)
  // does not wait for one. `error` is 0 or recvmsg(2)'s.
  View receive(int flags, int& error);
  // Sends a request and waits for the message that answers it, or the last of them.
  int exchange(Bytes request, bool dump, const std::function<void(const Message&, View)>& take);

  NetlinkSocket socket_;
  Bytes buffer_;
  std::uint32_t sequence_ = 0;
};

}  // namespace sluice::kernel::nft

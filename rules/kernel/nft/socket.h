// SPDX-License-Identifier: GPL-2.0-or-later
// nfnetlink (NETLINK_NETFILTER) as nf_tables uses it: lists, and transactions.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "rules/kernel/fd.h"
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
  std::string text = {};       // what the kernel says of it; acknowledgement.h
};

enum class Listing : std::uint8_t {
  whole,
  interrupted,  // somebody wrote meanwhile, if only elsewhere: there may be too little or too much
  lost,         // the answer, or what was to be listed is gone: start again
};

// Of the network namespace of the thread that made it. Where an answer is not there within a
// second, or had no room, another socket of another address takes its place, three times in all;
// the fourth time it throws Error (ETIMEDOUT), and so it does when it has waited five seconds
// altogether. What the kernel itself takes to list much is no waiting. A pod's processes that have
// CAP_NET_ADMIN can send to it if the kernel does not refuse that.
class Socket {
 public:
  // nullptr where the kernel has no nf_tables. Throws Error.
  static std::unique_ptr<Socket> open();

  // Of the namespace's rules; every transaction in it is a new one. Throws Error.
  std::uint32_t generation();

  // Sends a list_request() and gives each message of the answer to `take`. Throws
  // Error. What `take` throws comes through, and the rest of the answer is never seen.
  Listing list(Bytes request, const std::function<void(View)>& take);

  // The same for a list_request() that stands for one object. False if it is not there.
  bool get(const Bytes& request, const std::function<void(View)>& take);

  // Sends the batch, which is finished by it. Throws Error if it could not be sent.
  Outcome commit(Batch& batch);

  // The socket's address, as others in the namespace can send to it.
  std::uint32_t port() const;

 private:
  using Clock = std::chrono::steady_clock;
  using Take = std::function<void(const Message&, View)>;
  struct Reception {
    View datagram = {};  // empty if it is not the kernel's, or there is none
    int errnum = 0;      // recvmsg(2)'s
  };

  Socket();

  void send(View bytes) const;
  // The next datagram, if there is one.
  Reception receive();
  // The same, but waits for one if there is none; takes what that takes from `patience`.
  Reception wait(Clock::duration& patience);
  // Another socket in place of one that an answer is missing on. Throws Error (ETIMEDOUT).
  void start_again();
  // Sends a request and waits for the message that answers it, or the last of them. Returns the
  // errno in it; nothing if the answer was lost.
  std::optional<int> exchange(Bytes request, bool dump, const Take& take);
  // The same, until it is answered.
  int ask(const Bytes& request, const Take& take);
  std::optional<int> answer(std::uint32_t sequence, bool dump, const Take& take);

  Fd socket_;
  Bytes buffer_;
  std::uint32_t sequence_ = 0x80000000;  // none that a message of a batch has
  int sockets_left_ = 3;
  Clock::duration patience_ = std::chrono::seconds(5);
};

}  // namespace sluice::kernel::nft

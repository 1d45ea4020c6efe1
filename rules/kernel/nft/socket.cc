// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/socket.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netlink/socket.h>

#include "rules/error.h"
#include "rules/kernel/capability.h"

namespace sluice::kernel::nft {
namespace {

// A message can hold little more than one attribute of 64 KiB.
constexpr std::size_t buffer_size = std::size_t{256} * 1024;
// An answer has no more datagrams than that; strangers can send as many as they like.
constexpr int most_datagrams = 1'000'000;
// To one batch: of all that fails in it, only the first is of interest.
constexpr int most_answers = 100'000;
// The kernel answers at once. An answer that strangers' messages left no room for never comes.
constexpr timeval patience{.tv_sec = 1, .tv_usec = 0};

// No nf_tables: without nfnetlink there is no such protocol, without the subsystem no such type.
bool says_unsupported(int errnum) {
  return errnum == EPROTONOSUPPORT || errnum == EAFNOSUPPORT || errnum == EOPNOTSUPP ||
         errnum == EINVAL;
}

// That of a message that ends an answer: NLMSG_ERROR, or NLMSG_DONE, which has one too.
int errnum_of(const Message& message) {
  int result = 0;
  if (message.payload.size() < sizeof result) return message.type == NLMSG_DONE ? 0 : EBADMSG;
  std::memcpy(&result, message.payload.data(), sizeof result);
  return result < 0 ? -result : 0;
}

}  // namespace

std::unique_ptr<Socket> Socket::open() {
  try {
    std::unique_ptr<Socket> socket(new Socket());
    socket->generation();
    return socket;
  } catch (const Error& error) {
    if (error.code().category() == std::generic_category() &&
        says_unsupported(error.code().value())) {
      return nullptr;
    }
    throw;
  }
}

Socket::Socket() : socket_(NETLINK_NETFILTER), buffer_(buffer_size) {
  const int on = 1;
  if (setsockopt(descriptor(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0) {
    throw Error(errno, "prepare a netlink socket");
  }
  // A refused message comes back without its contents.
  static_cast<void>(setsockopt(descriptor(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on));
}

int Socket::descriptor() const {
  return nl_socket_get_fd(&socket_.get());
}

std::uint32_t Socket::port() const {
  return nl_socket_get_local_port(&socket_.get());
}

void Socket::send(View bytes) const {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent = 0;
  do {
    sent = sendto(descriptor(), bytes.data(), bytes.size(), 0,
                  reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) throw Error(errno, "send to nf_tables");
}

View Socket::receive(int flags, int& error) {
  sockaddr_nl sender{};
  iovec part{.iov_base = buffer_.data(), .iov_len = buffer_.size()};
  msghdr header{};
  header.msg_name = &sender;
  header.msg_namelen = sizeof sender;
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  ssize_t size = 0;
  do {
    size = recvmsg(descriptor(), &header, flags);
  } while (size < 0 && errno == EINTR);
  error = size < 0 ? errno : 0;
  // A process in the pod that has CAP_NET_ADMIN can send to any netlink socket there.
  if (size < 0 || sender.nl_pid != 0) return {};
  if ((header.msg_flags & MSG_TRUNC) != 0) throw Error(EMSGSIZE, "read from nf_tables");
  return View(buffer_).first(static_cast<std::size_t>(size));
}

int Socket::exchange(Bytes request, bool dump,
                     const std::function<void(const Message&, View)>& take) {
  nlmsghdr header{};
  std::memcpy(&header, request.data(), sizeof header);
  if (dump) header.nlmsg_flags |= NLM_F_DUMP;
  header.nlmsg_seq = ++sequence_;
  std::memcpy(request.data(), &header, sizeof header);
  send(request);
  for (int i = 0; i < most_datagrams; ++i) {
    int error = 0;
    const View datagram = receive(0, error);
    if (error == EAGAIN) throw Error(ETIMEDOUT, "read from nf_tables");
    // Whether it was the answer that had no room is not known.
    if (error != 0 && error != ENOBUFS) throw Error(error, "read from nf_tables");
    for (const View bytes : split_messages(datagram)) {
      const Message message = read_message(bytes);
      if (message.sequence != header.nlmsg_seq) continue;
      take(message, bytes);
      if (message.type == NLMSG_ERROR || message.type == NLMSG_DONE) return errnum_of(message);
      if (!dump) return 0;
    }
  }
  throw Error(EPROTO, "read from nf_tables");
}

std::uint32_t Socket::generation() {
  std::optional<std::uint32_t> generation;
  const int errnum =
      exchange(generation_request(), false, [&](const Message& message, View /*bytes*/) {
        if (!message.is(NFT_MSG_NEWGEN)) return;
        const auto all = AttributeSet::read_some(message.attributes, {NFTA_GEN_ID});
        if (all) generation = all->u32(NFTA_GEN_ID);
      });
  if (errnum != 0) throw failed(errnum, "read the generation of nf_tables", Capability::net_admin);
  if (!generation) throw Error(EBADMSG, "read the generation of nf_tables");
  return *generation;
}

bool Socket::list(Bytes request, const std::function<void(View)>& take) {
  bool whole = true;
  const int errnum = exchange(std::move(request), true, [&](const Message& message, View bytes) {
    if ((message.flags & NLM_F_DUMP_INTR) != 0) whole = false;
    if (whole && message.type >= NLMSG_MIN_TYPE) take(bytes);
  });
  // The table or set that was asked for is gone, or there was no room.
  if (errnum == ENOENT || errnum == EINTR || errnum == ENOBUFS) return false;
  if (errnum != 0) throw Error(errnum, "list nf_tables");
  return whole;
}

Outcome Socket::commit(Batch& batch) {
  const Bytes& bytes = batch.finish();
  // The kernel takes no message that is longer than the buffer, of which it needs a part itself.
  const int size = static_cast<int>(std::min<std::size_t>(bytes.size() * 2, 0x3fffffff));
  if (setsockopt(descriptor(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) {
    static_cast<void>(setsockopt(descriptor(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
  }
  send(bytes);
  // All answers are there when the message is sent.
  Outcome outcome{.known = false};
  for (int i = 0; i < most_answers; ++i) {
    int error = 0;
    const View datagram = receive(MSG_DONTWAIT, error);
    // Whatever keeps us from reading the answer, the batch may be done.
    if (error != 0 && error != ENOBUFS) break;
    for (const View message_bytes : split_messages(datagram)) {
      const Message message = read_message(message_bytes);
      if (message.type != NLMSG_ERROR || outcome.errnum != 0) continue;
      outcome = {.known = true, .errnum = errnum_of(message), .sequence = message.sequence};
    }
  }
  return outcome;
}

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "rules/error.h"
#include "rules/interruption.h"
#include "rules/kernel/capability.h"
#include "rules/kernel/nft/acknowledgement.h"

namespace sluice::kernel::nft {
namespace {

// A message can hold little more than one attribute of 64 KiB.
constexpr std::size_t buffer_size = std::size_t{256} * 1024;
// The kernel answers at once. What strangers' messages left no room for never comes.
constexpr std::chrono::steady_clock::duration patience_for_one = std::chrono::seconds(1);

// No nf_tables: without nfnetlink there is no such protocol, without the subsystem no such type.
bool says_no_protocol(int errnum) {
  return errnum == EPROTONOSUPPORT || errnum == EAFNOSUPPORT || errnum == EOPNOTSUPP ||
         errnum == EINVAL;
}

sockaddr_nl kernel_address() {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  return kernel;
}

Fd open_netlink() {
  Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
  if (!fd) throw Error(errno, "open a netlink socket");
  // The kernel chooses another address for each.
  const sockaddr_nl anybody = kernel_address();
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&anybody), sizeof anybody) != 0) {
    throw Error(errno, "bind a netlink socket");
  }
  // Who is connected to the kernel gets nothing from others (netlink_getsockbyportid()). Without
  // that there are still limits to what they can do.
  static_cast<void>(connect(fd.get(), reinterpret_cast<const sockaddr*>(&anybody), sizeof anybody));
  const int on = 1;
  // A refused message comes back without its contents.
  static_cast<void>(setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on));
  // Before Linux 4.12 it comes without the reason.
  static_cast<void>(setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on));
  return fd;
}

}  // namespace

std::unique_ptr<Socket> Socket::open() {
  try {
    std::unique_ptr<Socket> socket(new Socket());
    socket->generation();
    return socket;
  } catch (const Error& error) {
    if (error.code().category() == std::generic_category() &&
        says_no_protocol(error.code().value())) {
      return nullptr;
    }
    throw;
  }
}

Socket::Socket() : socket_(open_netlink()), buffer_(buffer_size) {}

std::uint32_t Socket::port() const {
  sockaddr_nl address{};
  socklen_t size = sizeof address;
  if (getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw Error(errno, "read a netlink socket's address");
  }
  return address.nl_pid;
}

void Socket::send(View bytes) const {
  const sockaddr_nl kernel = kernel_address();
  ssize_t sent = 0;
  do {
    sent = sendto(socket_.get(), bytes.data(), bytes.size(), 0,
                  reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return;
  if (errno != EMSGSIZE) throw Error(errno, "send to nf_tables");
  throw Error(std::make_error_code(std::errc::message_size),
              "a transaction of nf_tables has " + std::to_string(bytes.size()) +
                  " bytes, more than a socket takes here (net.core.wmem_max)");
}

Socket::Reception Socket::receive() {
  sockaddr_nl sender{};
  iovec part{.iov_base = buffer_.data(), .iov_len = buffer_.size()};
  msghdr header{};
  header.msg_name = &sender;
  header.msg_namelen = sizeof sender;
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  const ssize_t size = recvmsg(socket_.get(), &header, MSG_DONTWAIT);
  if (size < 0) return {.errnum = errno};
  if (sender.nl_pid != 0) return {};
  if ((header.msg_flags & MSG_TRUNC) != 0) throw Error(EMSGSIZE, "read from nf_tables");
  return {.datagram = View(buffer_).first(static_cast<std::size_t>(size))};
}

Socket::Reception Socket::wait(Clock::duration& patience) {
  const Clock::time_point begin = Clock::now();
  const Reception reception = receive();
  // A long answer may take what it takes: the kernel lists each piece of it anew from the
  // beginning.
  if (!reception.datagram.empty()) return reception;
  if (reception.errnum == EAGAIN) {
    pollfd readable{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(patience).count();
    static_cast<void>(poll(&readable, 1, static_cast<int>(ms)));
  }
  const Clock::duration taken = Clock::now() - begin;
  patience -= taken;
  patience_ -= taken;
  return reception;
}

void Socket::start_again() {
  if (sockets_left_-- <= 0 || patience_ <= Clock::duration::zero()) {
    throw Error(std::make_error_code(std::errc::timed_out),
                "nf_tables does not answer: waited on several sockets, one after the other");
  }
  socket_ = open_netlink();
}

std::optional<int> Socket::exchange(Bytes request, bool dump, const Take& take) {
  nlmsghdr header{};
  std::memcpy(&header, request.data(), sizeof header);
  if (dump) header.nlmsg_flags |= NLM_F_DUMP;
  header.nlmsg_seq = ++sequence_;
  std::memcpy(request.data(), &header, sizeof header);
  send(request);
  std::optional<int> errnum;
  try {
    errnum = answer(sequence_, dump, take);
  } catch (const Error&) {
    // The rest of the answer is still in this one.
    socket_ = open_netlink();
    throw;
  }
  // A list that finds no room when it begins has begun all the same, and no other can.
  if (errnum == ENOBUFS) errnum.reset();
  if (!errnum) start_again();
  return errnum;
}

std::optional<int> Socket::answer(std::uint32_t sequence, bool dump, const Take& take) {
  Clock::duration patience = std::min(patience_for_one, patience_);
  while (patience > Clock::duration::zero()) {
    throw_if_interrupted();
    const Reception reception = wait(patience);
    if (reception.errnum == ENOBUFS) break;  // it may have been the answer that had no room
    if (reception.errnum == EAGAIN || reception.errnum == EINTR) continue;
    if (reception.errnum != 0) throw Error(reception.errnum, "read from nf_tables");
    for (const View bytes : split_messages(reception.datagram)) {
      const Message message = read_message(bytes);
      if (message.sequence != sequence) continue;
      take(message, bytes);
      if (message.type == NLMSG_ERROR || message.type == NLMSG_DONE) {
        return read_acknowledgement(message).errnum;
      }
      if (!dump) return 0;
    }
  }
  return std::nullopt;
}

int Socket::ask(const Bytes& request, const Take& take) {
  std::optional<int> errnum;
  while (!errnum) errnum = exchange(request, false, take);
  return *errnum;
}

std::uint32_t Socket::generation() {
  std::optional<std::uint32_t> generation;
  const Take take = [&](const Message& message, View /*bytes*/) {
    if (!message.is(NFT_MSG_NEWGEN)) return;
    const auto all = AttributeSet::read_some(message.attributes, {NFTA_GEN_ID});
    if (all) generation = all->u32(NFTA_GEN_ID);
  };
  const int errnum = ask(generation_request(), take);
  if (errnum != 0) throw failed(errnum, "read the generation of nf_tables", Capability::net_admin);
  if (!generation) throw Error(EBADMSG, "read the generation of nf_tables");
  return *generation;
}

bool Socket::get(const Bytes& request, const std::function<void(View)>& take) {
  const int errnum = ask(request, [&](const Message& message, View bytes) {
    if (message.type >= NLMSG_MIN_TYPE) take(bytes);
  });
  if (errnum != 0 && errnum != ENOENT) throw Error(errnum, "read nf_tables");
  return errnum == 0;
}

Listing Socket::list(Bytes request, const std::function<void(View)>& take) {
  bool whole = true;
  const std::optional<int> errnum =
      exchange(std::move(request), true, [&](const Message& message, View bytes) {
        if ((message.flags & NLM_F_DUMP_INTR) != 0) whole = false;
        if (message.type >= NLMSG_MIN_TYPE) take(bytes);
      });
  // The table or set that was asked for is gone.
  if (!errnum || errnum == ENOENT || errnum == EINTR) return Listing::lost;
  if (*errnum != 0) throw Error(*errnum, "list nf_tables");
  return whole ? Listing::whole : Listing::interrupted;
}

Outcome Socket::commit(Batch& batch) {
  const Bytes& bytes = batch.finish();
  // The kernel takes no message that is longer than the buffer, of which it needs a part itself.
  const int size = static_cast<int>(std::min<std::size_t>(bytes.size() * 2, 0x3fffffff));
  if (setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) {
    static_cast<void>(setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
  }
  send(bytes);
  // All answers are there when the message is sent; of all that fails only the first is of
  // interest.
  Outcome outcome{.known = false};
  const Clock::time_point end = Clock::now() + patience_for_one;
  while (Clock::now() < end) {
    const Reception reception = receive();
    if (reception.errnum == ENOBUFS || reception.errnum == EINTR) continue;
    // Whatever keeps us from reading the answer, the batch may be done.
    if (reception.errnum != 0) break;
    for (const View message_bytes : split_messages(reception.datagram)) {
      const Message message = read_message(message_bytes);
      if (message.type != NLMSG_ERROR || outcome.errnum != 0) continue;
      Acknowledgement read = read_acknowledgement(message);
      outcome = {.known = true,
                 .errnum = read.errnum,
                 .sequence = message.sequence,
                 .text = std::move(read.text)};
    }
  }
  return outcome;
}

}  // namespace sluice::kernel::nft

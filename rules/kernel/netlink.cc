// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/netlink.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>

#include <linux/netlink.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "rules/error.h"
#include "rules/interruption.h"

namespace sluice::kernel {
namespace {

// Each turn of a dump costs well under a millisecond.
constexpr int dump_attempts = 10;
// A request has one answer. More datagrams than this before it are not the kernel's doing.
constexpr int most_datagrams = 100000;
// The kernel answers at once. What strangers' messages left no room for never comes.
constexpr std::chrono::seconds patience(1);

// What the callbacks of one request found. They are called by C, so nothing may be thrown there.
struct Answer {
  std::vector<NetlinkMessage>* found = nullptr;
  bool complete = false;
  int errnum = 0;
};

int finish(Answer& answer, int errnum) {
  answer.complete = true;
  answer.errnum = errnum;
  return NL_STOP;
}

// A process in the pod that has CAP_NET_ADMIN can send to any netlink socket there.
int skip_unless_kernel(nl_msg* message, void* /*answer*/) {
  return nlmsg_get_src(message)->nl_pid == 0 ? NL_OK : NL_SKIP;
}

int collect(nl_msg* message, void* argument) {
  Answer& answer = *static_cast<Answer*>(argument);
  if (answer.found == nullptr) return NL_OK;
  try {
    answer.found->emplace_back(message);
    nlmsg_get(message);
  } catch (...) {  // out of memory
    return finish(answer, ENOMEM);
  }
  return NL_OK;
}

int acknowledge(nl_msg* /*message*/, void* argument) {
  return finish(*static_cast<Answer*>(argument), 0);
}

// The end of a dump carries an errno, too.
int end_dump(nl_msg* message, void* argument) {
  int result = 0;
  const nlmsghdr* header = nlmsg_hdr(message);
  if (nlmsg_datalen(header) >= static_cast<int>(sizeof result)) {
    std::memcpy(&result, nlmsg_data(header), sizeof result);
  }
  return finish(*static_cast<Answer*>(argument), result < 0 ? -result : 0);
}

int refuse(sockaddr_nl* /*sender*/, nlmsgerr* error, void* argument) {
  return finish(*static_cast<Answer*>(argument), -error->error);
}

struct FreeCallbacks {
  void operator()(nl_cb* callbacks) const { nl_cb_put(callbacks); }
};
using Callbacks = std::unique_ptr<nl_cb, FreeCallbacks>;

Callbacks callbacks_for(Answer& answer) {
  // Not the socket's own: those can be chosen by the environment (NLCB) and print.
  Callbacks callbacks(nl_cb_alloc(NL_CB_DEFAULT));
  if (!callbacks) throw Error(ENOMEM, "prepare a netlink request");
  nl_cb_set(callbacks.get(), NL_CB_MSG_IN, NL_CB_CUSTOM, skip_unless_kernel, nullptr);
  nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, collect, &answer);
  nl_cb_set(callbacks.get(), NL_CB_ACK, NL_CB_CUSTOM, acknowledge, &answer);
  nl_cb_set(callbacks.get(), NL_CB_FINISH, NL_CB_CUSTOM, end_dump, &answer);
  nl_cb_err(callbacks.get(), NL_CB_CUSTOM, refuse, &answer);
  return callbacks;
}

Error failed(const char* doing, int result) {
  // libnl's own codes are coarser than errno, but tell what happened.
  return {std::make_error_code(std::errc::io_error),
          std::string(doing) + " netlink: " + nl_geterror(result)};
}

// Waits until there is something to read.
void await_answer(int fd) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + patience;
  while (true) {
    throw_if_interrupted();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) throw Error(ETIMEDOUT, "read from netlink");
    pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&readable, 1, static_cast<int>(left)) > 0) return;
  }
}

// Returns false if a dump was interrupted by a change.
bool exchange(nl_sock& socket, nl_msg& message, std::uint16_t flags, Answer& answer) {
  nlmsghdr& header = *nlmsg_hdr(&message);
  header.nlmsg_flags = flags;
  // Filled in by libnl where it is 0; the message may have been sent before.
  header.nlmsg_seq = 0;
  header.nlmsg_pid = 0;
  const Callbacks callbacks = callbacks_for(answer);
  const int sent = nl_send_auto(&socket, &message);
  if (sent < 0) throw failed("send to", sent);
  bool whole = true;
  for (int i = 0; !answer.complete; ++i) {
    if (i == most_datagrams) throw Error(EPROTO, "read an answer from netlink");
    await_answer(nl_socket_get_fd(&socket));
    errno = 0;
    const int received = nl_recvmsgs(&socket, callbacks.get());
    if (received == -NLE_DUMP_INTR) whole = false;
    if (received >= 0 || received == -NLE_DUMP_INTR || answer.complete) continue;
    if (errno == EAGAIN) continue;
    // What a flood leads to; libnl calls it "Out of memory".
    if (errno == ENOBUFS) throw Error(ENOBUFS, "read from netlink");
    throw failed("read from", received);
  }
  return whole;
}

}  // namespace

void FreeMessage::operator()(nl_msg* message) const {
  nlmsg_free(message);
}

NetlinkMessage make_message(std::uint16_t type) {
  NetlinkMessage message(nlmsg_alloc_simple(type, 0));
  if (!message) throw Error(ENOMEM, "prepare a netlink request");
  return message;
}

void append(nl_msg& message, const void* data, std::size_t size) {
  void* place = nlmsg_reserve(&message, size, NLMSG_ALIGNTO);
  if (place == nullptr) throw Error(ENOMEM, "prepare a netlink request");
  std::memcpy(place, data, size);
}

void NetlinkSocket::FreeSocket::operator()(nl_sock* socket) const {
  nl_socket_free(socket);
}

NetlinkSocket::NetlinkSocket(int protocol) {
  const Callbacks callbacks(nl_cb_alloc(NL_CB_DEFAULT));
  if (callbacks) socket_.reset(nl_socket_alloc_cb(callbacks.get()));
  if (!socket_) throw Error(ENOMEM, "prepare a netlink socket");
  errno = 0;
  if (const int failure = nl_connect(socket_.get(), protocol); failure < 0) {
    // socket(2) or bind(2) has left the errno that libnl makes its own code of.
    if (errno != 0) throw Error(errno, "open a netlink socket");
    throw failed("open", failure);
  }
  const int fd = nl_socket_get_fd(socket_.get());
  // Who is connected to the kernel gets nothing from others (netlink_getsockbyportid()).
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  static_cast<void>(connect(fd, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel));
  nl_socket_set_nonblocking(socket_.get());
  // Lets the kernel filter dumps, Linux 4.20; before that it sends everything.
  const int on = 1;
  static_cast<void>(setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on));
}

NetlinkSocket::~NetlinkSocket() = default;

int NetlinkSocket::request(nl_msg& message, std::uint16_t flags) {
  Answer answer;
  exchange(*socket_, message, static_cast<std::uint16_t>(flags | NLM_F_REQUEST | NLM_F_ACK),
           answer);
  return answer.errnum;
}

int NetlinkSocket::dump(nl_msg& message, std::vector<NetlinkMessage>& found) {
  const std::size_t before = found.size();
  for (int attempt = 0; attempt < dump_attempts; ++attempt) {
    found.resize(before);
    Answer answer{.found = &found};
    if (exchange(*socket_, message, NLM_F_REQUEST | NLM_F_DUMP, answer)) return answer.errnum;
  }
  throw Error(EAGAIN, "read netlink: somebody changed it meanwhile " +
                          std::to_string(dump_attempts) + " times");
}

}  // namespace sluice::kernel

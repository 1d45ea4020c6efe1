// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nflog.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/socket.h>

#include "rules/error.h"

namespace sluice::kernel {
namespace {

// Of each packet: the headers, also behind options and extensions.
constexpr std::uint32_t copy_range = 128;
// A datagram of nfnetlink_log holds at most 128 KiB (NFULNL_NLBUFSIZ_MAX).
constexpr std::size_t buffer_size = std::size_t{128} * 1024;
constexpr int receive_queue = 1024 * 1024;

using ReportAttributes = std::array<nlattr*, NFULA_MAX + 1>;

std::uint16_t message_type(unsigned kind) {
  return static_cast<std::uint16_t>((NFNL_SUBSYS_ULOG << 8U) | kind);
}

NetlinkMessage config_message(std::uint16_t group) {
  NetlinkMessage message = make_message(message_type(NFULNL_MSG_CONFIG));
  const nfgenmsg header{.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(group)};
  append(*message, &header, sizeof header);
  return message;
}

template <class T>
void put(nl_msg& message, int type, const T& value) {
  if (nla_put(&message, type, sizeof value, &value) != 0) {
    throw Error(ENOMEM, "prepare a netlink request");
  }
}

std::optional<std::uint32_t> number(const ReportAttributes& attributes, std::size_t type) {
  nlattr* attribute = attributes.at(type);
  if (attribute == nullptr || nla_len(attribute) != sizeof(std::uint32_t)) return std::nullopt;
  return ntohl(nla_get_u32(attribute));
}

std::string interface_name(const ReportAttributes& attributes, std::size_t type) {
  std::array<char, IF_NAMESIZE> name{};
  const std::optional<std::uint32_t> index = number(attributes, type);
  if (!index || if_indextoname(*index, name.data()) == nullptr) return {};
  return name.data();
}

std::span<const std::uint8_t> bytes_of(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  return {static_cast<const std::uint8_t*>(nla_data(attribute)),
          static_cast<std::size_t>(nla_len(attribute))};
}

Report read_report(const ReportAttributes& attributes) {
  const std::span<const std::uint8_t> prefix = bytes_of(attributes.at(NFULA_PREFIX));
  return {.prefix = {prefix.begin(), std::find(prefix.begin(), prefix.end(), 0)},
          .in = interface_name(attributes, NFULA_IFINDEX_INDEV),
          .out = interface_name(attributes, NFULA_IFINDEX_OUTDEV),
          .uid = number(attributes, NFULA_UID),
          .gid = number(attributes, NFULA_GID),
          .packet = parse_packet(bytes_of(attributes.at(NFULA_PAYLOAD)))};
}

}  // namespace

NflogSocket::NflogSocket(std::uint16_t group)
    : socket_(NETLINK_NETFILTER), buffer_(buffer_size / sizeof(std::uint32_t)) {
  nl_socket_set_buffer_size(&socket_.get(), receive_queue, 0);
  const std::string doing = "listen to NFLOG group " + std::to_string(group);
  const NetlinkMessage bind = config_message(group);
  put(*bind, NFULA_CFG_CMD, nfulnl_msg_config_cmd{.command = NFULNL_CFG_CMD_BIND});
  const int refused = socket_.request(*bind, 0);
  if (refused == EPERM) {
    throw Error(refused, doing + " (another process may be listening to it)");
  }
  if (refused == EINVAL || refused == EOPNOTSUPP) {
    throw unsupported(doing + ": the kernel does not offer it (module nfnetlink_log)");
  }
  if (refused != 0) throw Error(refused, doing);
  const NetlinkMessage settings = config_message(group);
  put(*settings, NFULA_CFG_MODE,
      nfulnl_msg_config_mode{
          .copy_range = htonl(copy_range), .copy_mode = NFULNL_COPY_PACKET, ._pad = 0});
  // Else the kernel collects reports for up to a second.
  put(*settings, NFULA_CFG_QTHRESH, htonl(1));
  if (const int errnum = socket_.request(*settings, 0); errnum != 0) throw Error(errnum, doing);
}

int NflogSocket::fd() const {
  return nl_socket_get_fd(&socket_.get());
}

NflogSocket::Received NflogSocket::receive() {
  Received received;
  sockaddr_nl sender{};
  iovec place{.iov_base = buffer_.data(), .iov_len = buffer_size};
  msghdr datagram{};
  datagram.msg_name = &sender;
  datagram.msg_namelen = sizeof sender;
  datagram.msg_iov = &place;
  datagram.msg_iovlen = 1;
  // Not libnl's own: it does not tell that reports were lost.
  const ssize_t got = recvmsg(fd(), &datagram, MSG_DONTWAIT);
  if (got < 0) {
    received.lost = errno == ENOBUFS;
    if (received.lost || errno == EAGAIN || errno == EINTR) return received;
    throw Error(errno, "read reports of NFLOG");
  }
  // Others in the pod may send to this socket, too.
  if (sender.nl_pid != 0) return received;
  received.lost = (datagram.msg_flags & MSG_TRUNC) != 0;
  auto rest = static_cast<int>(got);
  for (auto* message = reinterpret_cast<nlmsghdr*>(buffer_.data()); nlmsg_ok(message, rest) != 0;
       message = nlmsg_next(message, &rest)) {
    ReportAttributes attributes{};
    if (message->nlmsg_type == message_type(NFULNL_MSG_PACKET) &&
        nlmsg_parse(message, sizeof(nfgenmsg), attributes.data(), NFULA_MAX, nullptr) == 0) {
      received.reports.push_back(read_report(attributes));
    }
  }
  return received;
}

}  // namespace sluice::kernel

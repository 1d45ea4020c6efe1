// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/flood.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include <linux/netlink.h>

#include "rules/kernel/fd.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {

int flood(int protocol, std::uint32_t port) {
  const Fd stranger(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  sockaddr_nl to{};
  to.nl_family = AF_NETLINK;
  to.nl_pid = port;
  std::string junk(2000, '\0');
  const nlmsghdr header{.nlmsg_len = 2000,
                        .nlmsg_type = NLMSG_ERROR,
                        .nlmsg_flags = 0,
                        .nlmsg_seq = 0,
                        .nlmsg_pid = 0};
  std::memcpy(junk.data(), &header, sizeof header);
  // Small ones fit where big ones do not.
  for (const std::size_t size : {junk.size(), sizeof header}) {
    while (sendto(stranger.get(), junk.data(), size, 0, reinterpret_cast<const sockaddr*>(&to),
                  sizeof to) > 0) {
    }
  }
  return errno;
}

std::vector<std::uint32_t> netlink_ports(int wanted) {
  std::istringstream lines(read_file("/proc/thread-self/net/netlink"));
  std::vector<std::uint32_t> all;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string address;
    int protocol = 0;
    std::uint32_t port = 0;
    if (words >> address >> protocol >> port && protocol == wanted && port != 0) {
      all.push_back(port);
    }
  }
  return all;
}

}  // namespace sluice::kernel

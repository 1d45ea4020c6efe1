// SPDX-License-Identifier: GPL-2.0-or-later
// Reports of NFLOG rules: linux/netfilter/nfnetlink_log.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rules/kernel/netlink.h"
#include "rules/packet.h"

namespace sluice::kernel {

struct Report {
  // As the rule has it: whoever wrote the rule chose the bytes.
  std::string prefix;
  // Interfaces, empty where the hook has none or they are gone. Chosen by the pod.
  std::string in;
  std::string out;
  // Of the socket that sent it.
  std::optional<std::uint32_t> uid = std::nullopt;
  std::optional<std::uint32_t> gid = std::nullopt;
  // Nothing if it is no readable IP packet.
  std::optional<Packet> packet = std::nullopt;
};

// Listens to one group of the network namespace of the thread that made it.
class NflogSocket {
 public:
  // Throws Error: EPERM without CAP_NET_ADMIN or where another process listens to the group,
  // ENOTSUP if the kernel has no nfnetlink_log, else the errno.
  explicit NflogSocket(std::uint16_t group);

  // Readable when there are reports; for poll(2).
  int fd() const;

  struct Received {
    std::vector<Report> reports;
    bool lost = false;  // some were, because nobody read them in time
  };

  // What has come; does not wait. In the namespace of the socket, where the names of the
  // interfaces are. Throws Error.
  Received receive();

 private:
  NetlinkSocket socket_;
  std::vector<std::uint32_t> buffer_;  // as aligned as a netlink message
};

}  // namespace sluice::kernel

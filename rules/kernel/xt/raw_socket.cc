// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/xt/raw_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "rules/error.h"

namespace sluice::kernel::xt {
namespace {

std::array<Fd, 2> kept;  // by family

int domain_of(Family family) {
  return family == Family::ipv4 ? AF_INET : AF_INET6;
}

Fd& kept_for(Family family) {
  return kept.at(static_cast<std::size_t>(family));
}

}  // namespace

Fd raw_socket(Family family) {
  return Fd(sluice_kept_socket(domain_of(family), SOCK_RAW, IPPROTO_RAW));
}

void keep_raw_sockets() {
  for (const Family family : families) {
    Fd opened(socket(domain_of(family), SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
    if (!opened && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
      throw Error(errno, "open the sockets of x_tables");
    }
    kept_for(family) = std::move(opened);
  }
}

}  // namespace sluice::kernel::xt

extern "C" int sluice_kept_socket(int domain, int type, int protocol) {
  using sluice::Family;
  const auto& kept = sluice::kernel::xt::kept_for(domain == AF_INET ? Family::ipv4 : Family::ipv6);
  // Its user closes it.
  if (kept) return fcntl(kept.get(), F_DUPFD_CLOEXEC, 0);
  return socket(domain, type | SOCK_CLOEXEC, protocol);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/commit_hook.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <exception>
#include <utility>

#include <linux/netfilter_ipv4/ip_tables.h>

namespace sluice::kernel {
namespace {

// Only one hook at a time; empty while it runs.
std::function<void(CommitMoment, Family)>& current_action() {
  static std::function<void(CommitMoment, Family)> action;
  return action;
}

void reach(CommitMoment moment, Family family) {
  std::function<void(CommitMoment, Family)> action = std::exchange(current_action(), {});
  if (!action) return;
  try {
    action(moment, family);
  } catch (const std::exception& error) {
    // libiptc's C cannot be unwound.
    FAIL_CHECK("the writer that comes between failed: " << error.what());
  }
  current_action() = std::move(action);
}

int set_option(int fd, int level, int optname, const void* optval, socklen_t optlen) {
  return static_cast<int>(syscall(SYS_setsockopt, fd, level, optname, optval, optlen));
}

int hooked_set_option(int fd, int level, int optname, const void* optval, socklen_t optlen) {
  const Family family = level == IPPROTO_IP ? Family::ipv4 : Family::ipv6;
  const bool counters = optname == IPT_SO_SET_ADD_COUNTERS;
  reach(counters ? CommitMoment::before_counters : CommitMoment::before_table, family);
  const int result = set_option(fd, level, optname, optval, optlen);
  const int errnum = errno;
  if (counters) reach(CommitMoment::after_counters, family);
  errno = errnum;
  return result;
}

}  // namespace

CommitHook::CommitHook(std::function<void(CommitMoment, Family)> action) {
  current_action() = std::move(action);
}

CommitHook::~CommitHook() {
  current_action() = {};
}

}  // namespace sluice::kernel

// The linker takes it before the C library's.
extern "C" int setsockopt(int fd, int level, int optname, const void* optval,
                          socklen_t optlen) noexcept {
  const bool tables = level == IPPROTO_IP || level == IPPROTO_IPV6;
  const bool commits = optname == IPT_SO_SET_REPLACE || optname == IPT_SO_SET_ADD_COUNTERS;
  return tables && commits ? sluice::kernel::hooked_set_option(fd, level, optname, optval, optlen)
                           : sluice::kernel::set_option(fd, level, optname, optval, optlen);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/commit_hook.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
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
  action(moment, family);
  current_action() = std::move(action);
}

int set_option(int fd, int level, int option, const void* value, socklen_t size) {
  return static_cast<int>(syscall(SYS_setsockopt, fd, level, option, value, size));
}

int hooked_set_option(int fd, int level, int option, const void* value, socklen_t size) {
  const Family family = level == IPPROTO_IP ? Family::ipv4 : Family::ipv6;
  const bool counters = option == IPT_SO_SET_ADD_COUNTERS;
  reach(counters ? CommitMoment::before_counters : CommitMoment::before_table, family);
  const int result = set_option(fd, level, option, value, size);
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
extern "C" int setsockopt(int fd, int level, int option, const void* value,
                          socklen_t size) noexcept {
  const bool tables = level == IPPROTO_IP || level == IPPROTO_IPV6;
  const bool commits = option == IPT_SO_SET_REPLACE || option == IPT_SO_SET_ADD_COUNTERS;
  return tables && commits ? sluice::kernel::hooked_set_option(fd, level, option, value, size)
                           : sluice::kernel::set_option(fd, level, option, value, size);
}

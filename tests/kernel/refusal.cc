// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/refusal.h"

#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <system_error>

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

namespace sluice::kernel {
namespace {

constexpr std::uint32_t set_replace = 64;       // IPT_SO_SET_REPLACE, IP6T_SO_SET_REPLACE
constexpr std::uint32_t set_add_counters = 65;  // IPT_SO_SET_ADD_COUNTERS
constexpr std::uint32_t socket_type_mask = 0xf;

sock_filter statement(unsigned code, std::uint32_t operand) {
  return {.code = static_cast<std::uint16_t>(code), .jt = 0, .jf = 0, .k = operand};
}

void check(long result, const char* doing) {
  if (result != 0) throw std::system_error(errno, std::generic_category(), doing);
}

}  // namespace

void refuse(long number, const std::vector<ArgumentIs>& arguments, int errnum) {
  std::vector<sock_filter> program;
  // Arguments that differ go to the last statement, which allows the call.
  std::vector<std::size_t> comparisons;
  const auto compare = [&](std::size_t offset, std::uint32_t mask, std::uint32_t value) {
    program.push_back(statement(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
    program.push_back(statement(BPF_ALU | BPF_AND | BPF_K, mask));
    comparisons.push_back(program.size());
    program.push_back(statement(BPF_JMP | BPF_JEQ | BPF_K, value));
  };
  compare(offsetof(seccomp_data, nr), 0xffffffff, static_cast<std::uint32_t>(number));
  for (const ArgumentIs& argument : arguments) {
    // The low half of the 64 bits; little-endian, as every machine that the tests run on.
    const std::size_t offset =
        offsetof(seccomp_data, args) + argument.index * sizeof(std::uint64_t);
    compare(offset, argument.mask, argument.value);
  }
  program.push_back(
      statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(errnum)));
  program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  for (const std::size_t at : comparisons) {
    program[at].jf = static_cast<std::uint8_t>(program.size() - 1 - (at + 1));
  }
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                          .filter = program.data()};
  check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs");
  check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), "install a seccomp filter");
}

void refuse_commit(bool ipv6, int errnum) {
  const int level = ipv6 ? IPPROTO_IPV6 : IPPROTO_IP;
  refuse(SYS_setsockopt,
         {{.index = 1, .value = static_cast<std::uint32_t>(level)},
          {.index = 2, .value = set_replace}},
         errnum);
}

void refuse_counters(int errnum) {
  refuse(SYS_setsockopt,
         {{.index = 1, .value = IPPROTO_IP}, {.index = 2, .value = set_add_counters}}, errnum);
}

void refuse_ipv6_tables(int errnum) {
  refuse(
      SYS_socket,
      {{.index = 0, .value = AF_INET6}, {.index = 1, .value = SOCK_RAW, .mask = socket_type_mask}},
      errnum);
}

void drop_capability(int capability) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  check(syscall(SYS_capget, &header, sets.data()), "capget");
  const auto number = static_cast<unsigned>(capability);
  __user_cap_data_struct& set = sets.at(CAP_TO_INDEX(number));
  set.effective &= ~CAP_TO_MASK(number);
  set.permitted &= ~CAP_TO_MASK(number);
  set.inheritable &= ~CAP_TO_MASK(number);
  check(syscall(SYS_capset, &header, sets.data()), "capset");
}

}  // namespace sluice::kernel

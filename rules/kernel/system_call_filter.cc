// SPDX-License-Identifier: GPL-2.0-or-later
// The filter of confinement.h: classic BPF over struct seccomp_data, linux/seccomp.h.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/nsfs.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>

#include "rules/kernel/confinement.h"

namespace sluice::kernel {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_AARCH64;
#else
#error "which architecture's system calls are these?"
#endif

// Without a condition.
constexpr std::array plain{
    SYS_read,          SYS_write,           SYS_writev,
    SYS_close,         SYS_fstat,           SYS_newfstatat,
    SYS_lseek,         SYS_fcntl,           SYS_flock,
    SYS_ppoll,         SYS_nanosleep,       SYS_clock_nanosleep,
    SYS_clock_gettime, SYS_gettimeofday,    SYS_munmap,
    SYS_mremap,        SYS_madvise,         SYS_brk,
    SYS_futex,         SYS_getpid,          SYS_gettid,
    SYS_getrandom,     SYS_rt_sigaction,    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,  SYS_restart_syscall, SYS_timer_settime,
    SYS_exit,          SYS_exit_group,      SYS_bind,
    SYS_connect,       SYS_getsockname,     SYS_getsockopt,
    SYS_setsockopt,    SYS_sendto,          SYS_sendmsg,
    SYS_recvfrom,      SYS_recvmsg,
#ifdef SYS_poll  // aarch64 has only the newer one
    SYS_poll,
#endif
};

// What user_namespace.h takes beside those, and what takes that away when it is not needed.
constexpr std::array childs{
    SYS_clone,   SYS_set_robust_list, SYS_setns, SYS_dup3, SYS_capget,    SYS_capset,
    SYS_seccomp, SYS_pipe2,           SYS_wait4, SYS_kill, SYS_setitimer,
#ifdef SYS_alarm
    SYS_alarm,
#endif
};

// One of whose arguments (its lower half, where all flags are) has none of these bits, or is one of
// these values, of which the last may be there several times.
struct Conditional {
  int number = 0;
  unsigned argument = 0;
  std::uint32_t forbidden_bits = 0;
  std::array<std::uint32_t, 4> values{};
};

constexpr std::array conditional{
    Conditional{.number = SYS_openat,
                .argument = 2,
                .forbidden_bits = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)},
    Conditional{.number = SYS_mmap, .argument = 2, .forbidden_bits = PROT_EXEC},
    Conditional{.number = SYS_mprotect, .argument = 2, .forbidden_bits = PROT_EXEC},
    Conditional{
        .number = SYS_socket, .argument = 0, .values = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}},
    Conditional{.number = SYS_ioctl,
                .argument = 1,
                .values = {SIOCGIFFLAGS, SIOCGIFADDR, SIOCDIFADDR, NS_GET_USERNS}},
};

constexpr std::array childs_conditional{
    Conditional{
        .number = SYS_prctl,
        .argument = 0,
        .values = {PR_SET_DUMPABLE, PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_NO_NEW_PRIVS}},
};

template <class Element, std::size_t first_size, std::size_t second_size>
consteval auto joined(const std::array<Element, first_size>& first,
                      const std::array<Element, second_size>& second) {
  std::array<Element, first_size + second_size> all{};
  std::copy(second.begin(), second.end(), std::copy(first.begin(), first.end(), all.begin()));
  return all;
}

constexpr std::array with_childs = joined(plain, childs);
constexpr std::array conditional_with_childs = joined(conditional, childs_conditional);

constexpr std::size_t most_instructions = 200;

struct Program {
  std::array<sock_filter, most_instructions> code{};
  std::size_t size = 0;
};

// Writes a program that ends with the two ways out, to which everything jumps. Done at compile
// time: at run time it would cost an ADD as much as the kernel's part.
class Writer {
 public:
  constexpr Writer(std::span<const int> numbers, std::span<const Conditional> conditions)
      : conditions_(conditions) {
    for (const int number : numbers) add(static_cast<std::uint32_t>(number));
  }

  constexpr Program write() {
    constexpr std::size_t head = 3;
    std::size_t tests = 0;
    for (const Conditional& call : conditions_) tests += size_of(call);
    allow_ = head + tests + bounds_size_;
    load(offsetof(seccomp_data, arch));
    jump(BPF_JEQ, architecture, size() + 1, refuse());
    load(offsetof(seccomp_data, nr));
    for (const Conditional& call : conditions_) test(call);
    tree(0, bounds_size_);
    push({.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = SECCOMP_RET_ALLOW});
    push({.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = SECCOMP_RET_ERRNO | EPERM});
    return program_;
  }

 private:
  // Where a run of numbers begins, where it ends, where the next one begins...: a number is allowed
  // if there is an odd count of bounds at or below it.
  constexpr void add(std::uint32_t number) {
    toggle(number);
    toggle(number + 1);
  }
  // The end of one run is no bound where the next one begins there.
  constexpr void toggle(std::uint32_t bound) {
    auto* const end = bounds_.data() + bounds_size_;
    auto* const place = std::lower_bound(bounds_.data(), end, bound);
    if (place != end && *place == bound) {
      std::copy(place + 1, end, place);
      --bounds_size_;
    } else {
      std::copy_backward(place, end, end + 1);
      *place = bound;
      ++bounds_size_;
    }
  }

  constexpr std::size_t size() const { return program_.size; }
  constexpr std::size_t refuse() const { return allow_ + 1; }
  constexpr void push(sock_filter instruction) { program_.code.at(program_.size++) = instruction; }

  constexpr void load(std::size_t offset) {
    push({.code = BPF_LD | BPF_W | BPF_ABS,
          .jt = 0,
          .jf = 0,
          .k = static_cast<std::uint32_t>(offset)});
  }

  // To instructions by number, counted from the program's begin.
  constexpr void jump(unsigned comparison, std::uint32_t value, std::size_t then,
                      std::size_t otherwise) {
    push({.code = static_cast<std::uint16_t>(BPF_JMP | BPF_K | comparison),
          .jt = static_cast<std::uint8_t>(then - size() - 1),
          .jf = static_cast<std::uint8_t>(otherwise - size() - 1),
          .k = value});
  }

  static constexpr std::size_t size_of(const Conditional& call) {
    return call.forbidden_bits != 0 ? 3 : 2 + call.values.size();
  }

  constexpr void test(const Conditional& call) {
    jump(BPF_JEQ, static_cast<std::uint32_t>(call.number), size() + 1, size() + size_of(call));
    // Both architectures are little-endian.
    load(offsetof(seccomp_data, args) + sizeof(__u64) * call.argument);
    if (call.forbidden_bits != 0) return jump(BPF_JSET, call.forbidden_bits, refuse(), allow_);
    for (const std::uint32_t& value : call.values) {
      jump(BPF_JEQ, value, allow_, &value == &call.values.back() ? refuse() : size() + 1);
    }
  }

  // Where a part of the bounds is decided: at once if there is none left.
  constexpr std::size_t exit_of(std::size_t bounds_below) const {
    return bounds_below % 2 == 1 ? allow_ : refuse();
  }
  // One instruction for each bound from `first` to before `last`, as a binary tree: the kernel
  // tries every number there is when it takes a filter.
  constexpr void tree(std::size_t first, std::size_t last) {
    if (first == last) return;
    const std::size_t middle = first + (last - first) / 2;
    const std::size_t low = size() + 1;
    const std::size_t high = low + (middle - first);
    jump(BPF_JGE, bounds_.at(middle), middle + 1 == last ? exit_of(last) : high,
         first == middle ? exit_of(first) : low);
    tree(first, middle);
    tree(middle + 1, last);
  }

  std::span<const Conditional> conditions_;
  std::array<std::uint32_t, 2 * with_childs.size()> bounds_{};
  std::size_t bounds_size_ = 0;
  std::size_t allow_ = 0;
  Program program_;
};

constexpr Program rules_program = Writer(plain, conditional).write();
constexpr Program child_program = Writer(with_childs, conditional_with_childs).write();

}  // namespace

std::span<const sock_filter> system_call_filter(Calls calls) {
  const Program& program = calls == Calls::rules ? rules_program : child_program;
  return std::span(program.code).first(program.size);
}

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/confinement.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "rules/error.h"

namespace sluice::kernel {

void keep_capabilities(std::uint64_t kept) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw Error(errno, "give up new privileges");
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (syscall(SYS_capget, &header, data.data()) != 0) throw Error(errno, "read the capabilities");
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto half = static_cast<std::uint32_t>(kept >> 32U * i);
    data.at(i).effective &= half;
    data.at(i).permitted &= half;
    data.at(i).inheritable &= half;
  }
  // What leaves the permitted or the inheritable set leaves the ambient one with it.
  if (syscall(SYS_capset, &header, data.data()) != 0) throw Error(errno, "give up capabilities");
}

void filter_system_calls(Calls calls) {
  const std::span<const sock_filter> filter = system_call_filter(calls);
  const sock_fprog program{.len = static_cast<unsigned short>(filter.size()),
                           // The kernel only reads it.
                           .filter = const_cast<sock_filter*>(  // NOLINT(*-const-cast)
                               filter.data())};
  // Without the flag, kernels before 5.16 slow down all that follows (speculative store bypass).
  for (const unsigned flags : {static_cast<unsigned>(SECCOMP_FILTER_FLAG_SPEC_ALLOW), 0U}) {
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) == 0) return;
  }
  if (errno != EINVAL && errno != ENOSYS) throw Error(errno, "install the system call filter");
}

}  // namespace sluice::kernel

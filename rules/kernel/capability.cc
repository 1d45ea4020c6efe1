// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/capability.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <linux/capability.h>

namespace sluice::kernel {

static_assert(static_cast<int>(Capability::dac_read_search) == CAP_DAC_READ_SEARCH);
static_assert(static_cast<int>(Capability::net_admin) == CAP_NET_ADMIN);
static_assert(static_cast<int>(Capability::net_raw) == CAP_NET_RAW);
static_assert(static_cast<int>(Capability::sys_admin) == CAP_SYS_ADMIN);

const char* to_string(Capability capability) {
  switch (capability) {
    case Capability::dac_read_search:
      return "CAP_DAC_READ_SEARCH";
    case Capability::net_admin:
      return "CAP_NET_ADMIN";
    case Capability::net_raw:
      return "CAP_NET_RAW";
    case Capability::sys_admin:
      return "CAP_SYS_ADMIN";
  }
  return "";
}

Error failed(int errnum, std::string_view doing, Capability needed) {
  if (errnum != EPERM) return {errnum, doing};
  return {errnum, std::string(doing) + " (needs " + to_string(needed) + ")"};
}

std::uint64_t effective_capabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  // glibc has no wrapper, and libcap would be one more library for one call.
  if (syscall(SYS_capget, &header, data.data()) != 0) throw Error(errno, "read the capabilities");
  return data[0].effective | std::uint64_t{data[1].effective} << 32U;
}

}  // namespace sluice::kernel

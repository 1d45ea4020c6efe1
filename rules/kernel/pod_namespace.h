// SPDX-License-Identifier: GPL-2.0-or-later
// A pod's network namespace by its path.
#pragma once

#include <cstdint>
#include <string>

#include "rules/backend.h"
#include "rules/kernel/capability.h"

namespace sluice::kernel {

// What entering a namespace and writing its rules takes: enter_pod_namespace() leaves no more, but
// for CAP_DAC_READ_SEARCH where the namespace belongs to another user namespace.
inline constexpr std::uint64_t capabilities_to_enter =
    bit(Capability::sys_admin) | bit(Capability::net_admin) | bit(Capability::net_raw);

// Opens the network namespace at `path`. Its backend is chosen by choice.h. Throws Error if the
// path cannot be judged.
OpenedNamespace open_pod_namespace(const std::string& path);

// The same for a process that has nothing else to do: the first call that needs the namespace
// enters it for good. Opening it gives up all privileges but those that this takes, entering it all
// but those that writing rules takes, and system calls (in static programs): confinement.h.
OpenedNamespace enter_pod_namespace(const std::string& path);

}  // namespace sluice::kernel

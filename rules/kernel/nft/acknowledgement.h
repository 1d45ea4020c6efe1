// SPDX-License-Identifier: GPL-2.0-or-later
// What ends the kernel's answer: struct nlmsgerr with its attributes, or the errno of NLMSG_DONE.
// No socket: whatever bytes it is given, it ends and throws nothing.
#pragma once

#include <string>

#include "rules/kernel/nft/dump.h"

namespace sluice::kernel::nft {

struct Acknowledgement {
  int errnum = 0;  // 0: done
  // Why, in the kernel's words (NLMSGERR_ATTR_MSG, Linux 4.12); most often it has none.
  std::string text = {};
};

// Of a message of type NLMSG_ERROR or NLMSG_DONE. EBADMSG for an NLMSG_ERROR that is too short.
Acknowledgement read_acknowledgement(const Message& message);

}  // namespace sluice::kernel::nft

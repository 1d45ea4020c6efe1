// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/acknowledgement.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>

#include <linux/netlink.h>

#include "rules/kernel/nft/attribute.h"

namespace sluice::kernel::nft {
namespace {

// Where the attributes begin: behind the request, of which there is only the header where it was
// cut off (NETLINK_CAP_ACK).
std::optional<View> attributes_of(const Message& message) {
  nlmsgerr error{};
  if ((message.flags & NLM_F_ACK_TLVS) == 0) return std::nullopt;
  if (message.payload.size() < sizeof error) return std::nullopt;
  std::memcpy(&error, message.payload.data(), sizeof error);
  std::size_t begin = sizeof error;
  if ((message.flags & NLM_F_CAPPED) == 0) {
    const std::size_t request = std::max<std::size_t>(error.msg.nlmsg_len, sizeof error.msg);
    begin += NLMSG_ALIGN(request) - sizeof error.msg;
  }
  if (begin > message.payload.size()) return std::nullopt;
  return message.payload.subspan(begin);
}

}  // namespace

Acknowledgement read_acknowledgement(const Message& message) {
  int result = 0;
  if (message.payload.size() < sizeof result) {
    return {.errnum = message.type == NLMSG_DONE ? 0 : EBADMSG};
  }
  std::memcpy(&result, message.payload.data(), sizeof result);
  Acknowledgement read{.errnum = result < 0 ? -result : 0};
  if (message.type != NLMSG_ERROR) return read;
  const std::optional<View> bytes = attributes_of(message);
  if (!bytes) return read;
  if (const auto all = AttributeSet::read_some(*bytes, {NLMSGERR_ATTR_MSG})) {
    read.text = all->string(NLMSGERR_ATTR_MSG).value_or("");
  }
  return read;
}

}  // namespace sluice::kernel::nft

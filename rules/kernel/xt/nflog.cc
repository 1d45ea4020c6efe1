// SPDX-License-Identifier: GPL-2.0-or-later
// NFLOG, revision 0: struct xt_nflog_info of <linux/netfilter/xt_NFLOG.h>. The prefix ends in a
// NUL.
#include <linux/netfilter/xt_NFLOG.h>

#include "rules/error.h"
#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {

Payload encode(const Nflog& target, Family /*family*/) {
  xt_nflog_info info{};
  static_assert(sizeof info.prefix == 64);
  if (!is_nflog_prefix(target.prefix)) {
    throw Error("NFLOG prefix " + quote(target.prefix) +
                " is longer than 63 bytes or has control characters");
  }
  info.group = target.group;
  info.threshold = XT_NFLOG_DEFAULT_THRESHOLD;
  target.prefix.copy(info.prefix, sizeof info.prefix - 1);
  return make_payload("NFLOG", 0, info);
}

std::optional<Target> decode_nflog(const Payload& payload) {
  const auto info = read_payload<xt_nflog_info>(payload, 0);
  if (!info || info->len != 0 || info->threshold != XT_NFLOG_DEFAULT_THRESHOLD ||
      info->flags != 0) {
    return std::nullopt;
  }
  Nflog target{.group = info->group,
               .prefix = std::string(info->prefix, strnlen(info->prefix, sizeof info->prefix))};
  if (!is_nflog_prefix(target.prefix)) return std::nullopt;
  return target;
}

}  // namespace sluice::kernel::xt

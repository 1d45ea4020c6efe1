// SPDX-License-Identifier: GPL-2.0-or-later
// MARK, revision 2: struct xt_mark_tginfo2 of <linux/netfilter/xt_mark.h>.
#include <linux/netfilter/xt_mark.h>

#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {

Payload encode(const SetMark& target, Family /*family*/) {
  xt_mark_tginfo2 info{};
  info.mark = target.value;
  info.mask = target.mask;
  return make_payload("MARK", 2, info);
}

std::optional<Target> decode_set_mark(const Payload& payload) {
  const auto info = read_payload<xt_mark_tginfo2>(payload, 2);
  if (!info) return std::nullopt;
  return SetMark{.value = info->mark, .mask = info->mask};
}

}  // namespace sluice::kernel::xt

// SPDX-License-Identifier: GPL-2.0-or-later
// struct xt_mark_mtinfo1, revision 1: <linux/netfilter/xt_mark.h>.
#include <linux/netfilter/xt_mark.h>

#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {

Payload encode(const Mark& match) {
  xt_mark_mtinfo1 info{};
  info.mark = match.value;
  info.mask = match.mask;
  info.invert = match.negated ? 1 : 0;
  return make_payload("mark", 1, info);
}

std::optional<Match> decode_mark(const Payload& payload) {
  const auto info = read_payload<xt_mark_mtinfo1>(payload, 1);
  if (!info) return std::nullopt;
  return Mark{.value = info->mark, .mask = info->mask, .negated = info->invert != 0};
}

}  // namespace sluice::kernel::xt

// SPDX-License-Identifier: GPL-2.0-or-later
// struct xt_connmark_mtinfo1, revision 1: <linux/netfilter/xt_connmark.h>.
#include <linux/netfilter/xt_connmark.h>

#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {

Payload encode(const Connmark& match) {
  xt_connmark_mtinfo1 info{};
  info.mark = match.value;
  info.mask = match.mask;
  info.invert = match.negated ? 1 : 0;
  return make_payload("connmark", 1, info);
}

std::optional<Match> decode_connmark(const Payload& payload) {
  const auto info = read_payload<xt_connmark_mtinfo1>(payload, 1);
  if (!info) return std::nullopt;
  return Connmark{.value = info->mark, .mask = info->mask, .negated = info->invert != 0};
}

}  // namespace sluice::kernel::xt

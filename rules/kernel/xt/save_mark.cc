// SPDX-License-Identifier: GPL-2.0-or-later
// CONNMARK, revision 2, Linux 4.17 and later: struct xt_connmark_tginfo2 of
// <linux/netfilter/xt_connmark.h>. iptables 1.8.9 writes revision 1 only where the kernel has no
// other, and cannot print it where it has.
#include <linux/netfilter/xt_connmark.h>

#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {
namespace {

Payload copy_mark(std::uint8_t mode) {
  xt_connmark_tginfo2 info{};
  info.ctmask = all_bits;
  info.nfmask = all_bits;
  info.mode = mode;
  return make_payload("CONNMARK", 2, info);
}

}  // namespace

Payload encode(const SaveMark& /*target*/, Family /*family*/) {
  return copy_mark(XT_CONNMARK_SAVE);
}

Payload encode(const RestoreMark& /*target*/, Family /*family*/) {
  return copy_mark(XT_CONNMARK_RESTORE);
}

std::optional<Target> decode_save_mark(const Payload& payload) {
  const auto info = read_payload<xt_connmark_tginfo2>(payload, 2);
  if (!info || info->ctmask != all_bits || info->nfmask != all_bits || info->shift_bits != 0) {
    return std::nullopt;
  }
  if (info->mode == XT_CONNMARK_SAVE) return SaveMark{};
  if (info->mode == XT_CONNMARK_RESTORE) return RestoreMark{};
  return std::nullopt;
}

}  // namespace sluice::kernel::xt

// SPDX-License-Identifier: GPL-2.0-or-later
// CT, revision 2: struct xt_ct_target_info_v1 of <linux/netfilter/xt_CT.h>. It ends in a pointer of
// the kernel's own, which older kernels show.
#include <linux/netfilter/xt_CT.h>

#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {

Payload encode(const CtZone& target, Family /*family*/) {
  xt_ct_target_info_v1 info{};
  info.zone = target.zone;
  return make_payload("CT", 2, info);
}

std::optional<Target> decode_ct(const Payload& payload) {
  const auto info = read_payload<xt_ct_target_info_v1>(payload, 2);
  if (!info || info->flags != 0 || info->ct_events != 0 || info->exp_events != 0 ||
      info->helper[0] != '\0' || info->timeout[0] != '\0') {
    return std::nullopt;
  }
  return CtZone{info->zone};
}

}  // namespace sluice::kernel::xt

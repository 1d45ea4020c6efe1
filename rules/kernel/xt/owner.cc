// SPDX-License-Identifier: GPL-2.0-or-later
// struct xt_owner_match_info, revision 1, the only one: <linux/netfilter/xt_owner.h>.
#include <linux/netfilter/xt_owner.h>

#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {

Payload encode(const Owner& owner) {
  xt_owner_match_info info{};
  const auto flag = [&](std::uint8_t bit, bool negated) {
    info.match = static_cast<std::uint8_t>(info.match | bit);
    if (negated) info.invert = static_cast<std::uint8_t>(info.invert | bit);
  };
  if (owner.uid) {
    info.uid_min = owner.uid->first;
    info.uid_max = owner.uid->last;
    flag(XT_OWNER_UID, owner.uid->negated);
  }
  if (owner.gid) {
    info.gid_min = owner.gid->first;
    info.gid_max = owner.gid->last;
    flag(XT_OWNER_GID, owner.gid->negated);
  }
  return make_payload("owner", 1, info);
}

std::optional<Match> decode_owner(const Payload& payload) {
  const auto info = read_payload<xt_owner_match_info>(payload, 1);
  constexpr unsigned known = XT_OWNER_UID | XT_OWNER_GID;
  if (!info || ((info->match | info->invert) & ~known) != 0) return std::nullopt;
  Owner owner;
  if ((info->match & XT_OWNER_UID) != 0) {
    owner.uid = OwnerRange{.first = info->uid_min,
                           .last = info->uid_max,
                           .negated = (info->invert & XT_OWNER_UID) != 0};
  }
  if ((info->match & XT_OWNER_GID) != 0) {
    owner.gid = OwnerRange{.first = info->gid_min,
                           .last = info->gid_max,
                           .negated = (info->invert & XT_OWNER_GID) != 0};
  }
  return owner;
}

}  // namespace sluice::kernel::xt

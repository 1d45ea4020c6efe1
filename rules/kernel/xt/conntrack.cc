// SPDX-License-Identifier: GPL-2.0-or-later
// struct xt_conntrack_mtinfo3, revision 3: <linux/netfilter/xt_conntrack.h>. Of its many parts only
// the states and the direction, which is "original" unless it is inverted.
#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_conntrack.h>

#include "rules/error.h"
#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {
namespace {

static_assert(Conntrack::invalid == XT_CONNTRACK_STATE_INVALID);
static_assert(Conntrack::established == XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED));
static_assert(Conntrack::related == XT_CONNTRACK_STATE_BIT(IP_CT_RELATED));
static_assert(Conntrack::new_connection == XT_CONNTRACK_STATE_BIT(IP_CT_NEW));
static_assert(Conntrack::untracked == XT_CONNTRACK_STATE_UNTRACKED);

// The other states, SNAT and DNAT, have no place in the model.
bool are_known(unsigned states) {
  constexpr unsigned known = Conntrack::invalid | Conntrack::established | Conntrack::related |
                             Conntrack::new_connection | Conntrack::untracked;
  return states != 0 && (states & ~known) == 0;
}

}  // namespace

Payload encode(const Conntrack& match) {
  if (!are_known(match.states) && (match.states != 0 || !match.direction)) {
    throw Error("connection states " + std::to_string(match.states) + " are unknown");
  }
  xt_conntrack_mtinfo3 info{};
  const auto set = [&](unsigned flag, bool inverted) {
    info.match_flags = static_cast<std::uint16_t>(info.match_flags | flag);
    if (inverted) info.invert_flags = static_cast<std::uint16_t>(info.invert_flags | flag);
  };
  if (match.states != 0) set(XT_CONNTRACK_STATE, match.negated);
  if (match.direction) {
    set(XT_CONNTRACK_DIRECTION, *match.direction == Conntrack::Direction::reply);
  }
  info.state_mask = match.states;
  return make_payload("conntrack", 3, info);
}

std::optional<Match> decode_conntrack(const Payload& payload) {
  const auto info = read_payload<xt_conntrack_mtinfo3>(payload, 3);
  constexpr unsigned known = XT_CONNTRACK_STATE | XT_CONNTRACK_DIRECTION;
  if (!info || info->match_flags == 0 || (info->match_flags & ~known) != 0 ||
      (info->invert_flags & ~info->match_flags) != 0) {
    return std::nullopt;
  }
  const auto inverted = [&](unsigned flag) { return (info->invert_flags & flag) != 0; };
  Conntrack match;
  if ((info->match_flags & XT_CONNTRACK_STATE) != 0) {
    if (!are_known(info->state_mask)) return std::nullopt;
    match.states = info->state_mask;
    match.negated = inverted(XT_CONNTRACK_STATE);
  }
  if ((info->match_flags & XT_CONNTRACK_DIRECTION) != 0) {
    match.direction = inverted(XT_CONNTRACK_DIRECTION) ? Conntrack::Direction::reply
                                                       : Conntrack::Direction::original;
  }
  return match;
}

}  // namespace sluice::kernel::xt

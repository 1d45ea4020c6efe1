// SPDX-License-Identifier: GPL-2.0-or-later
// struct xt_conntrack_mtinfo3, revision 3: <linux/netfilter/xt_conntrack.h>. Of its many parts only
// the states.
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
  if (!are_known(match.states)) {
    throw Error("connection states " + std::to_string(match.states) + " are unknown");
  }
  xt_conntrack_mtinfo3 info{};
  info.match_flags = XT_CONNTRACK_STATE;
  info.invert_flags = match.negated ? XT_CONNTRACK_STATE : 0;
  info.state_mask = match.states;
  return make_payload("conntrack", 3, info);
}

std::optional<Match> decode_conntrack(const Payload& payload) {
  const auto info = read_payload<xt_conntrack_mtinfo3>(payload, 3);
  if (!info || info->match_flags != XT_CONNTRACK_STATE ||
      (info->invert_flags & ~XT_CONNTRACK_STATE) != 0 || !are_known(info->state_mask)) {
    return std::nullopt;
  }
  return Conntrack{.states = info->state_mask, .negated = info->invert_flags != 0};
}

}  // namespace sluice::kernel::xt

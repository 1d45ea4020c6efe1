// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/base_chain.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <linux/netfilter.h>
// After <linux/netfilter.h>: it does not include what it needs.
#include <linux/netfilter_ipv4.h>

#include "rules/error.h"

namespace sluice::kernel::nft {
namespace {

constexpr std::array<std::pair<std::string_view, std::uint32_t>, 5> hooks{{
    {"PREROUTING", NF_INET_PRE_ROUTING},
    {"INPUT", NF_INET_LOCAL_IN},
    {"FORWARD", NF_INET_FORWARD},
    {"OUTPUT", NF_INET_LOCAL_OUT},
    {"POSTROUTING", NF_INET_POST_ROUTING},
}};

std::int32_t priority_of(Table table, std::uint32_t hook) {
  const bool source = hook == NF_INET_LOCAL_IN || hook == NF_INET_POST_ROUTING;
  switch (table) {
    case Table::raw:
      return NF_IP_PRI_RAW;
    case Table::mangle:
      return NF_IP_PRI_MANGLE;
    case Table::nat:
      return source ? NF_IP_PRI_NAT_SRC : NF_IP_PRI_NAT_DST;
    case Table::filter:
      break;
  }
  return NF_IP_PRI_FILTER;
}

const char* type_of(Table table, std::uint32_t hook) {
  if (table == Table::nat) return "nat";
  // What changes a packet's mark there wants it routed again.
  return table == Table::mangle && hook == NF_INET_LOCAL_OUT ? "route" : "filter";
}

}  // namespace

Hook hook_of(Table table, const std::string& chain) {
  const auto* hook = std::find_if(hooks.begin(), hooks.end(),
                                  [&](const auto& known) { return known.first == chain; });
  if (hook == hooks.end()) throw Error("chain " + quote(chain) + " has no hook");
  return {.number = hook->second,
          .priority = priority_of(table, hook->second),
          .type = type_of(table, hook->second),
          .policy = NF_ACCEPT};
}

std::string to_string(const Hook& hook) {
  return "type " + hook.type + " hook " + std::to_string(hook.number) + " priority " +
         std::to_string(hook.priority) + " policy " + std::to_string(hook.policy) +
         (hook.special ? " on a device" : "");
}

}  // namespace sluice::kernel::nft

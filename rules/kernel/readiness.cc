// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/readiness.h"

#include "rules/error.h"
#include "rules/kernel/capability.h"
#include "rules/kernel/choice.h"
#include "rules/kernel/nft/offered.h"
#include "rules/kernel/xt/offered.h"

namespace sluice::kernel {
namespace {

void look_for_capabilities() {
  const std::uint64_t there = effective_capabilities();
  for (const Capability needed : {Capability::sys_admin, Capability::net_admin}) {
    if ((there & bit(needed)) != 0) continue;
    throw Error(std::string("capability ") + to_string(needed) + " is missing");
  }
}

}  // namespace

std::string obstacle(const BackendSettings& settings) {
  const auto none = [] { return false; };
  try {
    look_for_capabilities();
    choose({.setting = settings.choice,
            .foreign_user_namespace = false,
            .xtables_offered = [] { return xt::is_offered(Family::ipv4); },
            // Of a pod only the first is asked: writing its rules tells the rest.
            .nftables_offered = [] { return nft::offers_redirection(); },
            // What is in the node's namespace is not ours to look at.
            .xtables_holds_ours = none,
            .nftables_holds_ours = none});
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace sluice::kernel

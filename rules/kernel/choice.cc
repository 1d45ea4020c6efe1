// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/choice.h"

#include <string>

#include "rules/error.h"

namespace sluice::kernel {
namespace {

constexpr const char* xtables_modules =
    "x_tables (modules ip_tables, iptable_nat, xt_tcpudp, xt_owner, xt_REDIRECT)";
constexpr const char* nftables_modules = "nf_tables (modules nf_tables, nft_chain_nat, nft_redir)";

Choice pinned(const ChoiceFacts& facts) {
  const bool xtables = facts.setting == BackendChoice::xtables;
  if (!(xtables ? facts.xtables_offered() : facts.nftables_offered())) {
    throw unsupported(std::string("backend \"") + (xtables ? "xtables" : "nftables") +
                      "\" is asked for and the kernel does not offer " +
                      (xtables ? xtables_modules : nftables_modules));
  }
  return {.backend = facts.setting, .reason = "the settings ask for it"};
}

Error nothing_offered() {
  return unsupported(std::string("the kernel offers neither ") + xtables_modules + " nor " +
                     nftables_modules);
}

// No owner match can be written from outside: x_tables is the second choice.
Choice for_foreign_user_namespace(const ChoiceFacts& facts) {
  const std::string reason = "the pod has a user namespace of its own";
  if (facts.nftables_offered()) return {.backend = BackendChoice::nftables, .reason = reason};
  if (!facts.xtables_offered()) throw nothing_offered();
  return {.backend = BackendChoice::xtables,
          .reason = reason + " and the kernel does not offer nf_tables"};
}

}  // namespace

Choice choose(const ChoiceFacts& facts) {
  if (facts.setting != BackendChoice::automatic) return pinned(facts);
  if (facts.foreign_user_namespace) return for_foreign_user_namespace(facts);
  const bool xtables = facts.xtables_offered();
  if (xtables && facts.nftables_holds_ours()) {
    if (!facts.xtables_holds_ours()) {
      return {.backend = BackendChoice::nftables, .reason = "its rules are there already"};
    }
    return {.backend = BackendChoice::xtables,
            .reason = "the kernel offers it, and rules are there through both interfaces"};
  }
  if (xtables) return {.backend = BackendChoice::xtables, .reason = "the kernel offers it"};
  if (!facts.nftables_offered()) throw nothing_offered();
  return {.backend = BackendChoice::nftables, .reason = "the kernel does not offer x_tables"};
}

}  // namespace sluice::kernel

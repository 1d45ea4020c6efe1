// SPDX-License-Identifier: GPL-2.0-or-later
// Which of the kernel's two interfaces a pod's rules go through. What is asked creates no table.
#pragma once

#include <functional>
#include <string>

#include "rules/backend.h"

namespace sluice::kernel {

// What the choice depends on. Questions are only asked where the answer counts: each costs an ADD
// some system calls.
struct ChoiceFacts {
  BackendChoice setting = BackendChoice::automatic;
  // The network namespace belongs to another user namespace than ours.
  bool foreign_user_namespace = false;
  // Whether the kernel offers it, whether it holds rules of ours.
  std::function<bool()> xtables_offered = {};
  std::function<bool()> nftables_offered = {};
  std::function<bool()> xtables_holds_ours = {};
  std::function<bool()> nftables_holds_ours = {};
};

struct Choice {
  BackendChoice backend = BackendChoice::xtables;  // never automatic
  std::string reason = {};                         // Backend::reason()

  bool operator==(const Choice&) const = default;
};

// The first that applies:
//  1. the setting names it. What the kernel does not offer is an error then;
//  2. another user namespace owns the network namespace: nf_tables, whose UIDs are as the pod sees
//     them. xt_owner takes none from outside (EINVAL, net/netfilter/xt_owner.c);
//  3. nf_tables holds rules of ours, x_tables does not: nf_tables;
//  4. the kernel offers x_tables: x_tables. Where both hold rules of ours a change of interfaces
//     was broken off, and what was chosen for an empty namespace is chosen again;
//  5. the kernel offers nf_tables: nf_tables.
// Throws Error: ENOTSUP naming the kernel's modules if none is left; whatever the questions throw.
Choice choose(const ChoiceFacts& facts);

}  // namespace sluice::kernel

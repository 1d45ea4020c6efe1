// SPDX-License-Identifier: GPL-2.0-or-later
// What makes iptables' built-in chains of nf_tables' chains.
#pragma once

#include <string>

#include "rules/kernel/nft/object.h"
#include "rules/rule.h"

namespace sluice::kernel::nft {

// The hook of a table's built-in chain (nft/model.h). `chain` must be one.
Hook hook_of(Table table, const std::string& chain);

// "type nat hook 3 priority -100 policy 1", for people.
std::string to_string(const Hook& hook);

}  // namespace sluice::kernel::nft

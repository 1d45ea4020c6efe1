// SPDX-License-Identifier: GPL-2.0-or-later
// nf_tables' rules as nft(8) reads them.
#pragma once

#include <string>

#include "rules/nft/model.h"

namespace sluice::nft {

// Input for `nft -f`: replaces the table in one transaction. Loaded, it lists exactly as what
// rules/kernel/nft writes. The table itself is spelled as `nft --stateless list ruleset` of 1.0.6
// does it, but for `reject with icmpx port-unreachable`: that lists as `reject`, which would be
// read as something else where the rule is of one family. More than 32 excluded groups of one rule
// are a set without a name: a rule's expressions are limited.
// Throws Error naming the thing: EINVAL for names of tables, chains, sets and interfaces, prefixes
// and comments that nft(8) cannot read back, ENOTSUP for what nf_tables has no equal of (an Opaque,
// a Limit whose rate is no whole number in a second, minute, hour, day or week...).
std::string to_text(const Table& table);

}  // namespace sluice::nft

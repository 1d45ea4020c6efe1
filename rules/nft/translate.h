// SPDX-License-Identifier: GPL-2.0-or-later
// From rule sets to nf_tables' form and back.
#pragma once

#include <string>
#include <vector>

#include "rules/nft/model.h"
#include "rules/rule.h"

namespace sluice::nft {

// One table for the rule sets, at most one of each family. What both families have stands once and
// holds for both; what one has stands where its order puts it, restricted to that family, never
// behind a rule that would take its packets. Neighbours that differ in one port or address only
// become one rule and a set (canonical.h). No rules: a table without chains. Time grows with the
// number of rules. Throws Error (EINVAL) if from_nft() would not give the same back: a chain
// without rules that one family has and the other has not.
Table to_nft(const std::vector<Ruleset>& rulesets, std::string table_name);

// Both families' rule sets, IPv4 first, in the form of canonical(). A family has a chain if it has
// a rule in it or a jump to it, or nobody has a rule in it. A table of which a family has no chain
// is left out.
std::vector<Ruleset> from_nft(const Table& table);

}  // namespace sluice::nft

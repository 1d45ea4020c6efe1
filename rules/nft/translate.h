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
// become one rule and a set (canonical.h), named after Rule::origin. No rules: a table without
// chains. Time grows as n log n with the number of rules. Throws Error (EINVAL) naming the chain if
// from_nft() would not give the same back: a chain whose name is another one's in nf_tables, with
// the policy DROP, or that one family has and the other has not, though neither has rules.
Table to_nft(const std::vector<Ruleset>& rulesets, std::string table_name);

// Both families' rule sets, IPv4 first, in the form of canonical(). A family has a chain if it has
// a rule in it or a jump to it. A chain in which nobody has a rule is of the families that have
// rules in its table, or of both if none has. A table of which a family has no chain is left out.
// Where a set is not there, not of the kind that the rule needs, one of two in a rule, used by more
// than set_uses_limit rules, or would bring more rules than are left of unfolded_limit, the rule
// gets an Opaque: to_nft() makes no such thing. So time and memory grow with the size of the table
// only, whoever wrote it.
std::vector<Ruleset> from_nft(const Table& table);

}  // namespace sluice::nft

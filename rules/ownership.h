// SPDX-License-Identifier: GPL-2.0-or-later
// Which part of a live rule set is Sluice's. It is told from the rules alone, because the one who
// removes need not know the configuration that wrote them:
//  - the chains with Istio's names, and every rule anywhere that jumps or goes to one of them;
//  - in nat's PREROUTING and OUTPUT, the RETURN rules of excluded interfaces: the layouts write the
//    same interfaces in the same order into both chains, right before the jump. What stands there
//    in both chains alike is ours; a rule of the same shape elsewhere, or in one chain only, is
//    somebody else's. Where it is known what was written last, exactly that is ours and not what
//    happens to stand before it. In doubt a rule is ours: one of ours left behind opens the pod;
//    The same holds in mangle, where the mode TPROXY writes them;
//  - in nat's PREROUTING, the RETURN rules of virtual interfaces behind their jumps. Where nothing
//  is
//    captured by its address there are no jumps: who wants just these rules knows them; to
//    everybody else all that stands right before our jump is ours, unless all else is as it is
//    wanted, without virtual interfaces;
//  - in mangle, the rules of mode TPROXY around its mark, which our own chains name;
//  - reports (NFLOG) whose text begins with ours;
//  - all that a rule set holds that says so (Exclusive): our own table of nf_tables;
//  - ::6/128 on lo, which nothing but a sidecar's passthrough uses.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "rules/rule.h"

namespace sluice {

bool is_owned_chain(const std::string& name);

// Whether an address on lo is ours.
bool is_owned_address(const IpAddress& address);

// The positions, ascending from 0, of our rules in a chain that is not ours.
struct OwnedRules {
  std::string chain;
  std::vector<std::size_t> positions;
};

// One entry for each chain that is not ours but holds rules of ours, in the order of the table's
// chains. `written` is the same table as it was written last, nullptr if that is not known.
// `wanted` is the same table as it is to be: what of it stands in its place already is ours too.
std::vector<OwnedRules> owned_rules(const TableRules& table, const TableRules* written = nullptr,
                                    const TableRules* wanted = nullptr);

// Our part of `live`: our chains whole, other chains reduced to our rules and left out if none
// remain. A table without anything of ours is left out. `written` is also what is wanted.
Ruleset owned(const Ruleset& live, const Ruleset* written = nullptr);

// Whether anything in `live` is ours, without knowing what was written.
bool has_owned(const std::vector<Ruleset>& live);

}  // namespace sluice

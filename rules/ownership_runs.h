// SPDX-License-Identifier: GPL-2.0-or-later
// Rules of ours in built-in chains that neither jump to a chain of ours nor say in another way
// whose they are: they are told by where they stand. Part of the implementation of ownership.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "rules/rule.h"

namespace sluice {

// Ascending, from 0.
using Positions = std::vector<std::size_t>;

// ---- mode TPROXY, in mangle

// In OUTPUT: the rule that lets packets with the mark pass on lo, behind it those that mark the
// sidecar's own calls, up to the one that restores the connection's mark. Others' rules may stand
// in between. Empty if the run is not whole.
Positions mark_run(const Chain& output, std::uint32_t mark);

// In PREROUTING: the first rule that saves the mark; at most one.
Positions save_mark_rule(const Chain& prerouting, std::uint32_t mark);

// ---- interfaces

// `-i IF -j ISTIO_REDIRECT`, also with a destination: what Istio writes for virtual interfaces.
bool is_virtual_jump(const Rule& rule);

// A chain, and the rules of ours in it before which the interfaces' rules may stand.
struct AnchoredChain {
  const Chain& chain;
  const Positions& anchors;
};

struct InterfaceRuns {
  Positions prerouting;
  Positions output;
};

// The rules `-i IF -j RETURN` and `-o IF -j RETURN` that are ours in `table`, which has these two
// chains. `written` and `wanted` as in owned_rules().
InterfaceRuns interface_runs(const TableRules& table, const AnchoredChain& prerouting,
                             const AnchoredChain& output, const TableRules* written,
                             const TableRules* wanted);

}  // namespace sluice

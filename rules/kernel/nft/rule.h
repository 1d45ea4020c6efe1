// SPDX-License-Identifier: GPL-2.0-or-later
// Whole rules of the model as nf_tables' expressions.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "rules/kernel/nft/expression.h"
#include "rules/kernel/nft/object.h"
#include "rules/nft/model.h"

namespace sluice::kernel::nft {

// One rule, two for a Tproxy; `table` is that of the rule's chain, of which the chain is to which
// it jumps. Throws Error: ENOTSUP for what nf_tables cannot do, EINVAL for an Opaque and for what
// would not come back as it is.
std::vector<RuleObject> encode_rule(const sluice::nft::Rule& rule, sluice::Table table);

// Whether there is a set of that name in the model for addresses of the family, or for ports.
using KnownSet = std::function<bool(const std::string& name, std::optional<Family> family)>;

// The rules of a chain. Everything that encode_rule() would not write expression by expression is
// an Opaque, a rule of its own.
std::vector<sluice::nft::Rule> decode_rules(const std::vector<RuleObject>& rules,
                                            sluice::Table table, const KnownSet& known_set);

// A rule that stands for something nobody can translate; one line of at most 1 KiB.
sluice::nft::Rule opaque_rule(const std::string& text);

}  // namespace sluice::kernel::nft

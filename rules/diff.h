// SPDX-License-Identifier: GPL-2.0-or-later
// The structural comparison of rule sets. The order in which chains are declared and the policy of
// built-in chains mean nothing; the order of rules inside a chain counts but where canonical.h says
// that it does not; an empty built-in chain is the same as none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rules/backend.h"
#include "rules/rule.h"

namespace sluice {

enum class DifferenceKind : std::uint8_t {
  missing_chain,
  unexpected_chain,
  missing_rule,
  unexpected_rule,
  misplaced_rule,  // the same rules in another order; `text` is the first that is out of place
  missing_address,
  unexpected_address,
  missing_route,
  unexpected_route,
  stray,  // rules of ours in another place too, `text`
};

struct Difference {
  DifferenceKind kind = DifferenceKind::missing_rule;
  Family family = Family::ipv4;
  Table table = Table::nat;
  std::string chain = {};
  std::string text = {};  // the rule as iptables-save prints it, the address or the route

  bool operator==(const Difference&) const = default;
};

// One line, as `missing: IPv4 nat: -A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN`.
std::string to_string(const Difference& difference);

// Whether what is ours in the live table, owned_rules(live, written, &wanted), is exactly `wanted`,
// rule by rule: who writes one rule in place of two has written something else.
bool owns_exactly(const TableRules& live, const TableRules& wanted,
                  const TableRules* written = nullptr);

// What `live` lacks of `wanted` and what it has beyond it, table by table and chain by chain. Rules
// of a chain are those of the two lists or of their canonical forms, whichever are fewer.
// Nothing is left out of `live`: reduce it with owned() to compare with a live namespace. Both
// must be of the same family.
std::vector<Difference> diff(const Ruleset& wanted, const Ruleset& live);

// The same for a namespace: both families, only what is ours in `live`, the addresses on lo and the
// routes. Where IPv6 is not required and `live` has no rules or no route of it, that is no
// difference: the kernel may not offer it, and asking would create the table.
std::vector<Difference> diff(const Interception& wanted, const Interception& live);

}  // namespace sluice

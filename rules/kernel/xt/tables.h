// SPDX-License-Identifier: GPL-2.0-or-later
// Rules through x_tables, the kernel interface of iptables-legacy and ip6tables-legacy. Each table
// of each family is one commit; x_tables has no transaction across them.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "rules/backend.h"
#include "rules/ip.h"
#include "rules/kernel/rule_tables.h"
#include "rules/rule.h"

namespace sluice::kernel::xt {

// Writes IPv4's tables first, then IPv6's, in each family from raw to filter.
class Tables : public RuleTables {
 public:
  const char* name() const override { return "xtables"; }
  std::vector<Ruleset> read() override;
  std::vector<Ruleset> read_mangle() override;
  bool holds_ours() override;
  Notices write(const Interception& wanted) override;
  Notices roll_back() override;

 private:
  struct Done {
    Family family = Family::ipv4;
    TableRules previous;
  };

  const std::vector<Table>& existing(Family family);
  Notices write_family(const Interception& wanted, Family family);
  Notices write_ruleset(const Ruleset& ruleset);
  // What the kernel lacks for it, nothing if it is written.
  std::string write_if_offered(const Ruleset& ruleset, Notices& notices);
  Notices replace_table(Family family, const TableRules& wanted);

  // By family; looked at once, as asking costs an ADD as much as a commit.
  std::array<std::optional<std::vector<Table>>, 2> existing_;
  std::vector<Done> done_;
};

}  // namespace sluice::kernel::xt

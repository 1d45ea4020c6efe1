// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/xt/tables.h"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>

#include "rules/error.h"
#include "rules/kernel/xt/replace.h"
#include "rules/kernel/xt/table.h"
#include "rules/ownership.h"
#include "rules/tproxy_mark.h"

namespace sluice::kernel::xt {
namespace {

bool contains(const std::vector<Table>& tables, Table table) {
  return std::find(tables.begin(), tables.end(), table) != tables.end();
}

Ruleset read_family(Family family, const std::vector<Table>& tables) {
  Ruleset ruleset{.family = family};
  for (const Table table : tables) {
    ruleset.tables.push_back(XtTable::open(family, table)->read());
  }
  return ruleset;
}

// Who is killed in between leaves what was there before or what is to be: what comes in is captured
// by mangle or by nat, and the one that is to do so comes before the other one, which may have done
// so until now; filter, which blocks, comes before nat is emptied and is emptied after it.
std::vector<Table> in_order_of_writes(const Ruleset& wanted) {
  std::vector<Table> tables{Table::raw, Table::mangle, Table::nat, Table::filter};
  if (!tproxy_mark(wanted)) std::swap(tables[1], tables[2]);
  std::stable_partition(tables.begin(), tables.end(),
                        [&](Table table) { return find_table(wanted, table) != nullptr; });
  return tables;
}

}  // namespace

std::vector<Ruleset> Tables::read() {
  std::vector<Ruleset> all;
  all.reserve(families.size());
  for (const Family family : families) {
    all.push_back(read_family(family, existing_tables(family)));
  }
  return all;
}

std::vector<Ruleset> Tables::read_mangle() {
  std::vector<Ruleset> all;
  for (const Family family : families) {
    const bool exists = contains(existing(family), Table::mangle);
    all.push_back(read_family(family, exists ? std::vector{Table::mangle} : std::vector<Table>{}));
  }
  return all;
}

bool Tables::holds_ours() {
  return std::any_of(families.begin(), families.end(), [&](Family family) {
    const std::vector<Table>& tables = existing(family);
    return std::any_of(tables.begin(), tables.end(), [&](Table table) {
      return !owned(read_family(family, {table})).tables.empty();
    });
  });
}

Notices Tables::write(const Interception& wanted) {
  Notices notices;
  for (const Family family : families) append(notices, write_family(wanted, family));
  return notices;
}

Notices Tables::roll_back() {
  Notices failures;
  for (; !done_.empty(); done_.pop_back()) {
    const Done& done = done_.back();
    try {
      replace_owned(done.family, done.previous, [](const TableRules& /*previous*/) {});
    } catch (const std::exception& failure) {
      failures.push_back(std::string("could not put back ") + to_string(done.family) + " table " +
                         to_string(done.previous.table) + ": " + failure.what());
    }
  }
  return failures;
}

const std::vector<Table>& Tables::existing(Family family) {
  std::optional<std::vector<Table>>& known = existing_.at(static_cast<std::size_t>(family));
  if (!known) known = existing_tables(family);
  return *known;
}

Notices Tables::write_family(const Interception& wanted, Family family) {
  const auto asked = std::find_if(wanted.rulesets.begin(), wanted.rulesets.end(),
                                  [&](const Ruleset& r) { return r.family == family; });
  const Ruleset nothing{.family = family};
  const Ruleset& ruleset = asked == wanted.rulesets.end() ? nothing : *asked;
  if (family == Family::ipv4 || wanted.ipv6_required) return write_ruleset(ruleset);
  Notices notices;
  if (const std::string lacking = write_if_offered(ruleset, notices); !lacking.empty()) {
    notices.push_back("IPv6 is left out: " + lacking);
    // All of it: half a rule set is none.
    existing_.at(static_cast<std::size_t>(family)).reset();
    write_if_offered(nothing, notices);
  }
  return notices;
}

std::string Tables::write_if_offered(const Ruleset& ruleset, Notices& notices) {
  try {
    append(notices, write_ruleset(ruleset));
    return {};
  } catch (const Error& error) {
    if (error.code() != std::errc::not_supported) throw;
    return error.what();
  }
}

Notices Tables::write_ruleset(const Ruleset& ruleset) {
  Notices notices;
  for (const Table table : in_order_of_writes(ruleset)) {
    const TableRules* rules = find_table(ruleset, table);
    if (rules == nullptr && !contains(existing(ruleset.family), table)) continue;
    append(notices,
           replace_table(ruleset.family, rules == nullptr ? TableRules{.table = table} : *rules));
  }
  return notices;
}

Notices Tables::replace_table(Family family, const TableRules& wanted) {
  return replace_owned(family, wanted, [&](TableRules previous) {
    done_.push_back({.family = family, .previous = std::move(previous)});
  });
}

}  // namespace sluice::kernel::xt

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/xt/replace.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "rules/diff.h"
#include "rules/error.h"
#include "rules/interruption.h"
#include "rules/kernel/proc.h"
#include "rules/kernel/xt/table.h"
#include "rules/ownership.h"

namespace sluice::kernel::xt {
namespace {

// Another writer must win this often in a row before we give up; each turn costs about 0.1 ms.
constexpr int commit_attempts = 10;

// Where in each foreign or built-in chain our first rule stood.
using Places = std::map<std::string, std::size_t>;

// Takes out of the snapshot what is ours. Jumps go first: a chain that is referred to cannot be
// deleted.
Places erase_owned(XtTable& snapshot, const TableRules& live, const TableRules* written,
                   const TableRules& wanted) {
  Places places;
  for (const OwnedRules& found : owned_rules(live, written, &wanted)) {
    places[found.chain] = found.positions.front();
    for (auto position = found.positions.rbegin(); position != found.positions.rend(); ++position) {
      snapshot.delete_rule(found.chain, *position);
    }
  }
  std::vector<std::string> chains;
  for (const Chain& chain : live.chains) {
    if (!is_owned_chain(chain.name)) continue;
    chains.push_back(chain.name);
    snapshot.flush_chain(chain.name);
  }
  for (const std::string& chain : chains) snapshot.delete_chain(chain);
  return places;
}

// Our rules in other chains come where they stood before: behind a foreign rule that was appended
// meanwhile they might see nothing any more.
void write_owned(XtTable& snapshot, const TableRules& wanted, const Places& places) {
  for (const Chain& chain : wanted.chains) {
    if (is_owned_chain(chain.name)) snapshot.create_chain(chain.name);
  }
  for (const Chain& chain : wanted.chains) {
    const auto place = places.find(chain.name);
    std::size_t position = place == places.end() ? 0 : place->second;
    for (const Rule& rule : chain.rules) {
      if (place == places.end()) {
        snapshot.append(chain.name, rule);
      } else {
        snapshot.insert(chain.name, position++, rule);
      }
    }
  }
}

Notices rules_before_ours(Family family, const TableRules& live, const TableRules& wanted) {
  Notices notices;
  for (const OwnedRules& found : owned_rules(live, &wanted, &wanted)) {
    if (found.positions.front() == 0) continue;
    notices.push_back(std::to_string(found.positions.front()) +
                      " rules of others stand before ours in chain " + quote(found.chain) + " of " +
                      to_string(family) + " table " + to_string(wanted.table));
  }
  return notices;
}

}  // namespace

std::vector<Table> existing_tables(Family family) {
  const std::string text =
      "\n" + read_proc_net(family == Family::ipv4 ? "ip_tables_names" : "ip6_tables_names");
  std::vector<Table> tables;
  for (const Table table : all_tables) {
    if (text.find(std::string("\n") + to_string(table) + "\n") != std::string::npos) {
      tables.push_back(table);
    }
  }
  return tables;
}

TableRules owned_part(Family family, const TableRules& live) {
  const Ruleset ours = owned({.family = family, .tables = {live}});
  return ours.tables.empty() ? TableRules{.table = live.table} : ours.tables.front();
}

Notices replace_owned(Family family, const TableRules& wanted,
                      const std::function<void(TableRules)>& before_change) {
  std::optional<Error> failure;
  const TableRules* written = nullptr;  // by us, here
  bool told = false;
  for (int attempt = 0; attempt < commit_attempts; ++attempt) {
    const std::unique_ptr<XtTable> snapshot = XtTable::open(family, wanted.table);
    const TableRules live = snapshot->read();
    // After a commit too: a writer that kept the number of rules may have undone it, and
    // libiptc reports a failure also where only the counters could not be restored.
    if (owns_exactly(live, wanted, written)) return rules_before_ours(family, live, wanted);
    if (failure) throw Error(*failure);
    throw_if_interrupted();
    if (!std::exchange(told, true)) before_change(owned_part(family, live));
    const Places places = erase_owned(*snapshot, live, written, wanted);
    write_owned(*snapshot, wanted, places);
    try {
      if (snapshot->commit()) written = &wanted;
    } catch (const Error& error) {
      failure = error;
      written = &wanted;
    }
  }
  throw Error(EAGAIN, std::string("commit ") + to_string(family) + " table " +
                          to_string(wanted.table) + ": another writer came between " +
                          std::to_string(commit_attempts) + " times");
}

}  // namespace sluice::kernel::xt

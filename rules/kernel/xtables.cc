// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/xtables.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <map>
#include <optional>
#include <utility>

#include "rules/diff.h"
#include "rules/error.h"
#include "rules/kernel/link.h"
#include "rules/kernel/proc.h"
#include "rules/kernel/xt/table.h"
#include "rules/ownership.h"

namespace sluice::kernel {
namespace {

using xt::XtTable;

constexpr int lock_timeout_ms = 500;
// Another writer must win this often in a row before we give up; each turn costs about 0.1 ms.
constexpr int commit_attempts = 10;
constexpr std::array<Family, 2> families{Family::ipv4, Family::ipv6};
constexpr std::array<Table, 4> all_tables{Table::raw, Table::mangle, Table::nat, Table::filter};

// The tables that exist in the calling thread's namespace. Asking for a table's contents would
// create it; this does not. No such file: the kernel has no x_tables of this family.
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

bool contains(const std::vector<Table>& tables, Table table) {
  return std::find(tables.begin(), tables.end(), table) != tables.end();
}

Ruleset single(Family family, TableRules table) {
  return {.family = family, .tables = {std::move(table)}};
}

TableRules owned_part(Family family, const TableRules& live) {
  const Ruleset ours = owned(single(family, live));
  return ours.tables.empty() ? TableRules{.table = live.table} : ours.tables.front();
}

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

// Our addresses on lo.
std::vector<Cidr> owned_addresses() {
  std::vector<Cidr> ours;
  for (const Cidr& cidr : ipv6_addresses("lo")) {
    if (is_owned_address(cidr.address)) ours.push_back(cidr);
  }
  return ours;
}

// Applies one Interception to the calling thread's namespace and remembers what was there before.
class Application {
 public:
  void apply(const Interception& wanted) {
    for (const Cidr& cidr : wanted.loopback_addresses) add_address(cidr);
    for (const Family family : families) apply_family(wanted, family);
    // There is only one address of ours: where it is wanted there is none to look for.
    if (wanted.loopback_addresses.empty()) remove_addresses();
  }

  // Puts back what was there before, as far as that is possible; returns what could not be.
  Notices roll_back() {
    Notices failures;
    for (; !done_.empty(); done_.pop_back()) {
      const Done& done = done_.back();
      try {
        replace_table(done.family, done.previous, false);
      } catch (const std::exception& failure) {
        failures.push_back(std::string("could not put back ") + to_string(done.family) + " table " +
                           to_string(done.previous.table) + ": " + failure.what());
      }
    }
    try {
      for (const Cidr& cidr : added_) remove_loopback_address(cidr);
    } catch (const std::exception& failure) {
      failures.emplace_back(failure.what());
    }
    return failures;
  }

  Notices take_notices() { return std::move(notices_); }

 private:
  struct Done {
    Family family;
    TableRules previous;
  };

  void apply_family(const Interception& wanted, Family family) {
    const auto asked = std::find_if(wanted.rulesets.begin(), wanted.rulesets.end(),
                                    [&](const Ruleset& r) { return r.family == family; });
    const Ruleset ruleset = asked == wanted.rulesets.end() ? Ruleset{.family = family} : *asked;
    const std::vector<Table> existing = existing_tables(family);
    for (const Table table : all_tables) {
      const TableRules* rules = find_table(ruleset, table);
      if (rules == nullptr && !contains(existing, table)) continue;
      const bool optional = family == Family::ipv6 && !wanted.ipv6_required;
      try {
        replace_table(family, rules == nullptr ? TableRules{.table = table} : *rules, true);
      } catch (const Error& error) {
        if (!optional || error.code() != std::errc::not_supported) throw;
        notices_.push_back(std::string("IPv6 is left out: ") + error.what());
      }
    }
  }

  // Makes our part of one table equal `wanted` and reads it back. With `remember`, notes what it
  // was before as soon as it is about to change.
  void replace_table(Family family, const TableRules& wanted, bool remember) {
    std::optional<Error> failure;
    const TableRules* written = nullptr;  // by us, here
    for (int attempt = 0; attempt < commit_attempts; ++attempt) {
      const std::unique_ptr<XtTable> snapshot = XtTable::open(family, wanted.table);
      const TableRules live = snapshot->read();
      // After a commit too: a writer that kept the number of rules may have undone it, and
      // libiptc reports a failure also where only the counters could not be restored.
      if (owns_exactly(live, wanted, written)) return note_rules_before_ours(family, live, wanted);
      if (failure) throw Error(*failure);
      if (std::exchange(remember, false)) {
        done_.push_back({.family = family, .previous = owned_part(family, live)});
      }
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

  // Foreign rules before our jump decide first. They are not ours to judge, but worth a line.
  void note_rules_before_ours(Family family, const TableRules& live, const TableRules& wanted) {
    for (const OwnedRules& found : owned_rules(live, &wanted, &wanted)) {
      if (found.positions.front() == 0) continue;
      notices_.push_back(std::to_string(found.positions.front()) +
                         " rules of others stand before ours in chain " + quote(found.chain) +
                         " of " + to_string(family) + " table " + to_string(wanted.table));
    }
  }

  void add_address(const Cidr& cidr) {
    const AddressChange change = add_loopback_address(cidr);
    if (change == AddressChange::done) added_.push_back(cidr);
    if (change == AddressChange::unsupported) {
      notices_.push_back("address " + to_string(cidr) +
                         " is not added to lo: IPv6 is disabled there");
    }
  }

  static void remove_addresses() {
    for (const Cidr& cidr : owned_addresses()) remove_loopback_address(cidr);
  }

  std::vector<Done> done_;
  std::vector<Cidr> added_;
  Notices notices_;
};

// The pod's namespace with its backend.
class XtablesNamespace : public PodNamespace {
 public:
  explicit XtablesNamespace(Netns netns) : netns_(std::move(netns)), backend_(netns_) {}

  bool is_own() override { return netns_.is_own(); }
  std::vector<Link> links() override {
    std::vector<Link> all;
    netns_.run([&] { all = list_links(); });
    return all;
  }
  std::optional<Link> link(const std::string& name) override {
    std::optional<Link> found;
    netns_.run([&] { found = find_link(name); });
    return found;
  }
  bool loopback_has_ipv6() override {
    bool has = false;
    netns_.run([&] { has = kernel::loopback_has_ipv6(); });
    return has;
  }
  Backend& backend() override { return backend_; }

 private:
  Netns netns_;
  Xtables backend_;
};

}  // namespace

Notices Xtables::apply(const Interception& wanted) {
  const Netns::Lock lock = netns_.lock(lock_timeout_ms);
  Notices notices;
  netns_.run([&] {
    Application application;
    try {
      application.apply(wanted);
    } catch (const Error& error) {
      const Notices failures = application.roll_back();
      if (failures.empty()) throw;
      throw Error(error.code(), std::string(error.what()) + "; " + failures.front());
    } catch (...) {  // out of memory
      application.roll_back();
      throw;
    }
    notices = application.take_notices();
  });
  if (!lock) {
    notices.push_back("the lock of the network namespace was not to be had within " +
                      std::to_string(lock_timeout_ms) + " ms: went on without it");
  }
  return notices;
}

Notices Xtables::remove() {
  return apply({});
}

Interception Xtables::read() {
  Interception all;
  netns_.run([&] {
    for (const Family family : families) {
      Ruleset ruleset{.family = family};
      for (const Table table : existing_tables(family)) {
        ruleset.tables.push_back(XtTable::open(family, table)->read());
      }
      all.rulesets.push_back(std::move(ruleset));
    }
    for (const Cidr& cidr : owned_addresses()) {
      all.loopback_addresses.push_back(make_cidr(cidr.address, address_bits(Family::ipv6)));
    }
  });
  return all;
}

OpenedNamespace open_pod_namespace(const std::string& path) {
  std::variant<Netns, NotNetns> opened = Netns::open(path);
  if (NotNetns* reason = std::get_if<NotNetns>(&opened)) return std::move(*reason);
  return std::make_unique<XtablesNamespace>(std::get<Netns>(std::move(opened)));
}

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/tables.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "rules/error.h"
#include "rules/interruption.h"
#include "rules/kernel/nft/replacement.h"
#include "rules/kernel/nft/set.h"
#include "rules/kernel/nft/snapshot.h"
#include "rules/kernel/nft/socket.h"
#include "rules/kernel/nft/table.h"
#include "rules/nft/translate.h"

namespace sluice::kernel::nft {
namespace {

namespace model = sluice::nft;

using Clock = std::chrono::steady_clock;

// The generation is the whole namespace's: the last one of so many, or the first one after that
// time, does not ask for it.
constexpr int commit_attempts = 10;
constexpr Clock::duration commit_patience = std::chrono::seconds(2);

bool is_too_big(const Error& error) {
  return error.code() == std::errc::argument_list_too_long;
}

// What a pod has put too much into, or changes all the time, can be replaced all the same.
Snapshot snapshot_of(Socket& socket, const std::string& table) {
  try {
    return take_snapshot(socket, table);
  } catch (const Error& error) {
    if (!is_too_big(error) && error.code() != std::errc::resource_unavailable_try_again) throw;
  }
  return find_tables(socket, table);
}

std::string named(const std::string& table) {
  return "table " + quote(table) + " of nf_tables";
}

std::string named(const TableObject& table) {
  return named(table.name);
}

// One line, however many there are: a pod may have made them.
Notices shared_tables(const Snapshot& snapshot) {
  if (snapshot.shared.empty()) return {};
  std::string notice = named(*snapshot.shared.begin()) +
                       " has chains of others beside one with a name of ours and stays";
  if (const std::size_t more = snapshot.shared.size() - 1; more != 0) {
    notice += ", and so do others like it: " + std::to_string(more);
  }
  return {notice};
}

// Of the table that is ours by its own name.
Notices chains_of_others(const Snapshot& snapshot, const std::string& table) {
  if (!snapshot.table || snapshot.table->name != table) return {};
  const std::vector<ChainObject>& chains = snapshot.table->chains;
  const auto other = std::find_if(chains.begin(), chains.end(), [](const ChainObject& chain) {
    return !model::is_written(model::parse_chain_name(chain.name));
  });
  if (other == chains.end()) return {};
  return {"chain " + quote(other->name) + ", which others put into " + named(table) +
          ", is gone with all that was in it"};
}

bool has_others(const Snapshot& snapshot, const std::string& table) {
  return !snapshot.others.empty() || (snapshot.table && snapshot.table->name != table);
}

// What others made after the last transaction is theirs to take away.
Notices leave_others(Snapshot& snapshot, const std::string& table) {
  if (snapshot.table && snapshot.table->name != table) {
    snapshot.others.push_back(std::move(*snapshot.table));
    snapshot.table.reset();
  }
  Notices notices;
  for (const TableObject& other : snapshot.others) {
    notices.push_back(named(other) + " stays: another writer made it meanwhile");
  }
  snapshot.others.clear();
  return notices;
}

// What is to be: one table, or none.
class Goal {
 public:
  explicit Goal(const model::Table& table) {
    if (!table.chains.empty()) tables_.push_back(encode_table(table));
    for (TableObject& object : tables_) sort_elements(object);
  }

  const std::vector<TableObject>& tables() const { return tables_; }

  bool is_reached(Snapshot snapshot) {
    if (!snapshot.others.empty() || snapshot.table.has_value() == tables_.empty()) return false;
    if (tables_.empty()) return true;
    TableObject& live = *snapshot.table;
    if (!snapshot.whole || live.name != tables_.front().name) return false;
    // Most often it is the same to the byte, which is seen much faster.
    sort_elements(live);
    return live == tables_.front() || means_the_same(live);
  }

 private:
  // An Owner for the UID and one for the GID are the same as one for both, and read back as that:
  // it is not the rule sets that are compared but what they come back as.
  bool means_the_same(const TableObject& live) {
    if (rulesets_.empty()) rulesets_ = model::from_nft(decode_table(tables_.front()));
    return model::from_nft(decode_table(live)) == rulesets_;
  }

  std::vector<TableObject> tables_;
  std::vector<Ruleset> rulesets_;
};

class NfTables : public RuleTables {
 public:
  explicit NfTables(std::string table) : table_(std::move(table)) {}

  const char* name() const override { return "nftables"; }
  std::vector<Ruleset> read() override;
  std::vector<std::string> strays() const override { return strays_; }
  bool holds_ours() override;
  Notices left_alone() const override { return left_alone_; }
  Notices write(const Interception& wanted) override;
  Notices roll_back() override;

 private:
  Notices write(Socket& socket, Goal& goal);

  std::string table_;
  std::vector<std::string> strays_;
  Notices left_alone_;
  // What was there before write() changed it; nothing if it has not.
  std::optional<Snapshot> previous_;
};

std::vector<Ruleset> NfTables::read() {
  strays_.clear();
  const std::unique_ptr<Socket> socket = Socket::open();
  if (!socket) return {};
  const Snapshot snapshot = take_snapshot(*socket, table_);
  for (const TableObject& other : snapshot.others) strays_.push_back(named(other));
  if (!snapshot.table) return {};
  return model::from_nft(decode_table(*snapshot.table));
}

bool NfTables::holds_ours() {
  left_alone_.clear();
  const std::unique_ptr<Socket> socket = Socket::open();
  if (!socket) return false;
  const Snapshot found = find_tables(*socket, table_);
  left_alone_ = shared_tables(found);
  return found.table.has_value();
}

Notices NfTables::write(const Interception& wanted) {
  Goal goal(model::to_nft(wanted.rulesets, table_));
  const std::unique_ptr<Socket> socket = Socket::open();
  if (!socket) {
    if (goal.tables().empty()) return {};
    throw unsupported("the kernel does not offer nf_tables (module nf_tables)");
  }
  return write(*socket, goal);
}

Notices NfTables::write(Socket& socket, Goal& goal) {
  std::optional<std::uint32_t> written;  // the generation that is ours
  Notices replaced;
  const Clock::time_point end = Clock::now() + commit_patience;
  bool last = false;
  for (int attempt = 1;; ++attempt) {
    Snapshot snapshot = snapshot_of(socket, table_);
    Notices notices = leave_owned(snapshot, table_);
    kernel::append(notices, shared_tables(snapshot));
    if (last) kernel::append(notices, leave_others(snapshot, table_));
    if (goal.is_reached(snapshot)) {
      kernel::append(notices, std::move(replaced));
      return notices;
    }
    // Of very many only some are seen, and deleted, at once.
    if (written == snapshot.generation && !has_others(snapshot, table_)) {
      throw Error(EIO, "write table " + quote(table_) + " of nf_tables: it reads back otherwise");
    }
    if (last) break;
    last = attempt == commit_attempts || Clock::now() > end;
    // Nobody vouches any more that they are as they were seen.
    if (last) static_cast<void>(leave_others(snapshot, table_));
    throw_if_interrupted();
    const Commit commit = last ? Commit::anyway : Commit::if_unchanged;
    if (!replace_tables(socket, snapshot, goal.tables(), commit)) continue;
    written = snapshot.generation + 1;
    if (!previous_) {
      replaced = chains_of_others(snapshot, table_);
      previous_ = std::move(snapshot);
    }
  }
  throw Error(EAGAIN, "write table " + quote(table_) +
                          " of nf_tables: another writer changed it whenever it was written");
}

Notices NfTables::roll_back() {
  if (!previous_) return {};
  Snapshot previous = *std::exchange(previous_, std::nullopt);
  std::vector<TableObject> tables;
  if (previous.table && previous.whole) tables.push_back(std::move(*previous.table));
  Notices notices = keep_writable(tables);
  if (previous.table && !previous.whole) {
    notices.push_back("could not put back what there was too much of in nf_tables");
  }
  for (const TableObject& other : previous.others) {
    notices.push_back("could not put back " + named(other));
  }
  try {
    const std::unique_ptr<Socket> socket = Socket::open();
    for (int attempt = 1; socket && attempt <= commit_attempts; ++attempt) {
      Snapshot snapshot = find_tables(*socket, table_);
      static_cast<void>(leave_owned(snapshot, table_));
      const bool last = attempt == commit_attempts;
      if (last) kernel::append(notices, leave_others(snapshot, table_));
      const Commit commit = last ? Commit::anyway : Commit::if_unchanged;
      if (replace_tables(*socket, snapshot, tables, commit)) return notices;
    }
    notices.push_back("could not put back table " + quote(table_) +
                      " of nf_tables: another writer came between");
  } catch (const std::exception& failure) {
    notices.push_back("could not put back table " + quote(table_) +
                      " of nf_tables: " + failure.what());
  }
  return notices;
}

}  // namespace

std::unique_ptr<RuleTables> make_tables(const std::string& table_name) {
  return std::make_unique<NfTables>(table_name);
}

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/tables.h"

#include <cerrno>
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

// Another writer must win this often in a row before we give up.
constexpr int commit_attempts = 10;

bool is_too_big(const Error& error) {
  return error.code() == std::errc::argument_list_too_long;
}

// What a pod has put too much into can be replaced all the same.
Snapshot snapshot_of(std::unique_ptr<Socket>& socket, const std::string& table) {
  try {
    return take_snapshot(*socket, table);
  } catch (const Error& error) {
    if (!is_too_big(error)) throw;
  }
  // The rest of what there is too much of is still in the other one.
  socket = Socket::open();
  return find_tables(*socket, table);
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
    if (snapshot.tables.size() != tables_.size() || !snapshot.whole) return false;
    if (tables_.empty()) return true;
    TableObject& live = snapshot.tables.front();
    if (live.name != tables_.front().name) return false;
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
  bool holds_ours() override;
  Notices write(const Interception& wanted) override;
  Notices roll_back() override;

 private:
  std::string table_;
  // What was there before write() changed it; nothing if it has not.
  std::optional<Snapshot> previous_;
};

std::vector<Ruleset> NfTables::read() {
  const std::unique_ptr<Socket> socket = Socket::open();
  if (!socket) return {};
  for (const TableObject& table : take_snapshot(*socket, table_).tables) {
    return model::from_nft(decode_table(table));
  }
  return {};
}

bool NfTables::holds_ours() {
  const std::unique_ptr<Socket> socket = Socket::open();
  return socket && !find_tables(*socket, table_).tables.empty();
}

Notices NfTables::write(const Interception& wanted) {
  Goal goal(model::to_nft(wanted.rulesets, table_));
  std::unique_ptr<Socket> socket = Socket::open();
  if (!socket) {
    if (goal.tables().empty()) return {};
    throw Error(std::make_error_code(std::errc::not_supported),
                "the kernel does not offer nf_tables (module nf_tables)");
  }
  std::optional<std::uint32_t> written;  // the generation that is ours
  for (int attempt = 0; attempt <= commit_attempts; ++attempt) {
    Snapshot snapshot = snapshot_of(socket, table_);
    if (goal.is_reached(snapshot)) return {};
    if (written == snapshot.generation) {
      throw Error(EIO, "write table " + quote(table_) + " of nf_tables: it reads back otherwise");
    }
    if (attempt == commit_attempts) break;
    throw_if_interrupted();
    if (!replace_tables(*socket, snapshot, goal.tables())) continue;
    written = snapshot.generation + 1;
    if (!previous_) previous_ = std::move(snapshot);
  }
  throw Error(EAGAIN, "write table " + quote(table_) +
                          " of nf_tables: another writer came between " +
                          std::to_string(commit_attempts) + " times");
}

Notices NfTables::roll_back() {
  if (!previous_) return {};
  Snapshot previous = *std::exchange(previous_, std::nullopt);
  Notices notices = keep_writable(previous.tables);
  try {
    const std::unique_ptr<Socket> socket = Socket::open();
    if (!previous.whole) {
      notices.push_back("could not put back what there was too much of in nf_tables");
    }
    for (int attempt = 0; socket && attempt < commit_attempts; ++attempt) {
      if (replace_tables(*socket, find_tables(*socket, table_), previous.tables)) return notices;
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

bool is_offered() {
  return Socket::open() != nullptr;
}

std::unique_ptr<RuleTables> make_tables(const std::string& table_name) {
  return std::make_unique<NfTables>(table_name);
}

}  // namespace sluice::kernel::nft

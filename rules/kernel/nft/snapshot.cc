// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/snapshot.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

#include <linux/netfilter/nf_tables.h>

#include "rules/error.h"
#include "rules/nft/model.h"
#include "rules/ownership.h"

namespace sluice::kernel::nft {
namespace {

using Clock = std::chrono::steady_clock;

// Each costs well under a millisecond where there is little to read, but a pod can have made much.
constexpr int attempts = 10;
constexpr Clock::duration snapshot_patience = std::chrono::seconds(2);

constexpr std::size_t most_tables = 64;
constexpr std::size_t most_chains = 131'072;

Error disturbed() {
  return {EAGAIN,
          "read nf_tables: another writer came between " + std::to_string(attempts) + " times"};
}

// Of the inet tables with a chain of ours. Others' tables and chains leave nothing in memory: the
// kernel lists the chains of one table behind each other, and whoever writes meanwhile makes
// another generation.
class NameFinder {
 public:
  explicit NameFinder(std::string table) : table_(std::move(table)) {}

  // False if the answer was lost.
  bool look(Socket& socket) {
    try {
      const Listing listing =
          socket.list(list_request(NFT_MSG_GETCHAIN), [&](View message) { take(message); });
      if (listing == Listing::lost) return false;
    } catch (const Error& error) {
      if (error.code() != std::errc::argument_list_too_long) throw;
      // Nobody has seen what else is in the last one.
      current_.has_others = true;
    }
    conclude();
    return true;
  }

  // Without the table that was asked for.
  const std::set<std::string>& names() const { return names_; }
  std::set<std::string>& shared() { return shared_; }

 private:
  struct Seen {
    std::string table = {};
    bool has_ours = false;
    bool has_others = false;
  };

  void take(View message) {
    if (left_-- == 0) throw Error(E2BIG, "look for tables of nf_tables");
    const std::optional<ChainPlace> place = chain_in(message);
    if (!place || place->table == table_) return;
    if (place->table != current_.table) {
      conclude();
      current_ = {.table = place->table};
    }
    const sluice::nft::ChainNames names = sluice::nft::parse_chain_name(place->chain);
    if (is_owned_chain(names.chain)) current_.has_ours = true;
    if (!is_written(names)) current_.has_others = true;
  }

  void conclude() {
    if (!current_.has_ours) return;
    std::set<std::string>& all = current_.has_others ? shared_ : names_;
    if (all.size() < most_tables) all.insert(current_.table);
  }

  std::string table_;
  std::size_t left_ = most_chains;
  Seen current_;
  std::set<std::string> names_;
  std::set<std::string> shared_;
};

void add_table(Socket& socket, Dump& dump, const std::string& table) {
  socket.get(list_request(NFT_MSG_GETTABLE, table), [&](View message) { dump.add(message); });
}

// Nothing if an answer was lost.
std::optional<Snapshot> find_once(Socket& socket, const std::string& table) {
  Snapshot snapshot{.generation = socket.generation(), .whole = false};
  NameFinder finder(table);
  if (!finder.look(socket)) return std::nullopt;
  Dump dump;
  add_table(socket, dump, table);
  for (const std::string& name : finder.names()) add_table(socket, dump, name);
  snapshot.others = dump.take();
  snapshot.shared = std::move(finder.shared());
  auto chosen = std::find_if(snapshot.others.begin(), snapshot.others.end(),
                             [&](const TableObject& object) { return object.name == table; });
  if (chosen == snapshot.others.end()) chosen = snapshot.others.begin();
  if (chosen != snapshot.others.end()) {
    snapshot.table = std::move(*chosen);
    snapshot.others.erase(chosen);
  }
  return snapshot;
}

// What is in one table.
class Contents {
 public:
  Contents(Socket& socket, std::string table) : socket_(socket), table_(std::move(table)) {}

  // False if the table or the answer is gone.
  bool read() {
    add_table(socket_, dump_, table_);
    const TableObject* object = dump_.find_table(table_);
    if (object == nullptr) return false;
    // The kernel lists the chains of one table only with those of all others.
    if (!list(list_request(NFT_MSG_GETCHAIN))) return false;
    if (!list(list_request(NFT_MSG_GETRULE, table_))) return false;
    if (!list(list_request(NFT_MSG_GETSET, table_))) return false;
    return std::all_of(object->sets.begin(), object->sets.end(), [&](const SetObject& set) {
      return set.special || list(list_request(NFT_MSG_GETSETELEM, table_, set.name));
    });
  }

  // Whether nobody wrote while it was listed.
  bool is_undisturbed() const { return undisturbed_; }
  TableObject take() { return std::move(dump_.take().front()); }

 private:
  bool list(Bytes request) {
    const Listing listing =
        socket_.list(std::move(request), [&](View message) { dump_.add(message); });
    undisturbed_ = undisturbed_ && listing == Listing::whole;
    return listing != Listing::lost;
  }

  Socket& socket_;
  std::string table_;
  Dump dump_;
  bool undisturbed_ = true;
};

struct Reading {
  Snapshot snapshot;
  // Nobody wrote anything in the namespace meanwhile.
  bool undisturbed = true;
};

std::optional<Reading> read_once(Socket& socket, const std::string& table) {
  std::optional<Snapshot> found = find_once(socket, table);
  if (!found) return std::nullopt;
  Reading reading{.snapshot = std::move(*found)};
  reading.snapshot.whole = true;
  if (reading.snapshot.table) {
    Contents contents(socket, reading.snapshot.table->name);
    if (!contents.read()) return std::nullopt;
    reading.undisturbed = contents.is_undisturbed();
    reading.snapshot.table = contents.take();
  }
  if (socket.generation() != reading.snapshot.generation) reading.undisturbed = false;
  return reading;
}

}  // namespace

// The generation is the whole namespace's: who writes elsewhere all the time must not keep us from
// reading. What reads the same twice was there.
Snapshot take_snapshot(Socket& socket, const std::string& table) {
  std::optional<Snapshot> before;
  const Clock::time_point end = Clock::now() + snapshot_patience;
  for (int attempt = 0; attempt < attempts && (attempt < 2 || Clock::now() < end); ++attempt) {
    std::optional<Reading> reading = read_once(socket, table);
    if (!reading) continue;
    const bool same = before && before->table == reading->snapshot.table;
    if (same || reading->undisturbed) return std::move(reading->snapshot);
    before = std::move(reading->snapshot);
  }
  throw disturbed();
}

Snapshot find_tables(Socket& socket, const std::string& table) {
  for (int attempt = 0; attempt < attempts; ++attempt) {
    if (std::optional<Snapshot> found = find_once(socket, table)) return std::move(*found);
  }
  throw disturbed();
}

}  // namespace sluice::kernel::nft

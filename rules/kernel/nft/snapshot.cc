// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/snapshot.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>

#include <linux/netfilter/nf_tables.h>

#include "rules/error.h"
#include "rules/nft/model.h"
#include "rules/ownership.h"

namespace sluice::kernel::nft {
namespace {

// Each costs well under a millisecond where there is little to read.
constexpr int attempts = 10;

bool is_ours(const TableObject& object, const std::string& table) {
  return object.name == table ||
         std::any_of(object.chains.begin(), object.chains.end(), [](const ChainObject& chain) {
           return is_owned_chain(sluice::nft::parse_chain_name(chain.name).chain);
         });
}

bool list_into(Socket& socket, Dump& dump, Bytes request) {
  return socket.list(std::move(request), [&](View message) { dump.add(message); });
}

bool list_chains(Socket& socket, const std::string& table, Dump& dump) {
  if (!list_into(socket, dump, list_request(NFT_MSG_GETTABLE))) return false;
  if (dump.tables().empty()) return true;
  if (!list_into(socket, dump, list_request(NFT_MSG_GETCHAIN))) return false;
  for (const TableObject& object : dump.tables()) {
    if (!is_ours(object, table)) dump.forget(object.name);
  }
  return true;
}

bool list_contents(Socket& socket, const std::string& table, Dump& dump) {
  if (!list_into(socket, dump, list_request(NFT_MSG_GETRULE, table))) return false;
  if (!list_into(socket, dump, list_request(NFT_MSG_GETSET, table))) return false;
  const std::vector<TableObject> tables = dump.tables();
  const auto found = std::find_if(tables.begin(), tables.end(),
                                  [&](const TableObject& object) { return object.name == table; });
  if (found == tables.end()) return false;
  return std::all_of(found->sets.begin(), found->sets.end(), [&](const SetObject& set) {
    return set.special ||
           list_into(socket, dump, list_request(NFT_MSG_GETSETELEM, table, set.name));
  });
}

// Nothing if somebody wrote meanwhile.
std::optional<Snapshot> try_once(Socket& socket, const std::string& table, bool contents) {
  Snapshot snapshot{.generation = socket.generation()};
  Dump dump;
  if (!list_chains(socket, table, dump)) return std::nullopt;
  if (contents) {
    for (const TableObject& object : dump.tables()) {
      if (!list_contents(socket, object.name, dump)) return std::nullopt;
    }
  }
  snapshot.tables = dump.tables();
  snapshot.whole = contents;
  if (socket.generation() != snapshot.generation) return std::nullopt;
  return snapshot;
}

Snapshot repeat(Socket& socket, const std::string& table, bool contents) {
  for (int attempt = 0; attempt < attempts; ++attempt) {
    if (std::optional<Snapshot> snapshot = try_once(socket, table, contents)) return *snapshot;
  }
  throw Error(EAGAIN,
              "read nf_tables: another writer came between " + std::to_string(attempts) + " times");
}

}  // namespace

Snapshot take_snapshot(Socket& socket, const std::string& table) {
  return repeat(socket, table, true);
}

Snapshot find_tables(Socket& socket, const std::string& table) {
  return repeat(socket, table, false);
}

}  // namespace sluice::kernel::nft

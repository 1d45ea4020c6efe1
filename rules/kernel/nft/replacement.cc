// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/replacement.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>
#include <string>
#include <system_error>

#include <linux/netfilter/nf_tables.h>

#include "rules/error.h"

namespace sluice::kernel::nft {
namespace {

// The kernel's ERESTART: the generation is another one. User space has no name for it.
constexpr int restart = 85;

bool says_again(int errnum) {
  return errnum == restart || errnum == EAGAIN || errnum == EINTR;
}

// What a message of the kind needs of the kernel.
const char* needs(unsigned kind) {
  switch (kind) {
    case NFT_MSG_NEWTABLE:
      return "tables of family inet (module nf_tables)";
    case NFT_MSG_NEWCHAIN:
      return "chains of these types in tables of family inet (modules nft_chain_nat, nf_tables; "
             "type nat needs Linux 5.2)";
    case NFT_MSG_NEWSET:
    case NFT_MSG_NEWSETELEM:
      return "sets of intervals (module nf_tables, on older kernels nf_tables_set)";
    case NFT_MSG_NEWRULE:
      return "an expression that the rules need (modules nft_ct, nft_redir, nft_tproxy, "
             "nft_reject_inet, nft_log, nft_limit, on older kernels nft_counter)";
    default:
      return "nf_tables (module nf_tables)";
  }
}

// Whether the kernel takes it as it was read.
bool is_writable(const RuleObject& rule, const std::set<std::string>& sets) {
  return std::none_of(rule.expressions.begin(), rule.expressions.end(),
                      [&](const Expression& expression) {
                        const auto* lookup = std::get_if<expr::Lookup>(&expression);
                        return std::holds_alternative<expr::Unknown>(expression) ||
                               (lookup != nullptr && !sets.contains(lookup->set));
                      });
}

void lose(Notices& notices, const TableObject& table, const std::string& what) {
  notices.push_back("could not put back " + what + " of table " + quote(table.name) +
                    " of nf_tables");
}

void keep_writable(TableObject& table, Notices& notices) {
  // Whose table it is cannot be passed on.
  table.flags &= NFT_TABLE_F_DORMANT;
  std::set<std::string> sets;
  for (const SetObject& set : table.sets) {
    if (set.special) {
      lose(notices, table, "set " + quote(set.name));
    } else {
      sets.insert(set.name);
    }
  }
  std::erase_if(table.sets, [](const SetObject& set) { return set.special; });
  for (ChainObject& chain : table.chains) {
    const std::size_t lost = std::erase_if(
        chain.rules, [&](const RuleObject& rule) { return !is_writable(rule, sets); });
    if (lost != 0) {
      lose(notices, table, std::to_string(lost) + " rules of chain " + quote(chain.name));
    }
    if (chain.hook && chain.hook->special) lose(notices, table, "chain " + quote(chain.name));
  }
  std::erase_if(table.chains,
                [](const ChainObject& chain) { return chain.hook && chain.hook->special; });
}

}  // namespace

bool says_not_offered(int errnum) {
  return errnum == ENOENT || errnum == EOPNOTSUPP || errnum == EAFNOSUPPORT ||
         errnum == EPROTONOSUPPORT;
}

Error explained(const Batch& batch, const Outcome& outcome) {
  const unsigned kind = batch.kind(outcome.sequence);
  const int errnum = outcome.errnum;
  std::string doing = batch.doing(outcome.sequence);
  if (!outcome.text.empty()) doing += " (the kernel says " + quote(outcome.text) + ")";
  if (says_not_offered(errnum) && kind != NFT_MSG_DELTABLE) {
    return unsupported(doing + ": the kernel lacks " + needs(kind) + ": " +
                       std::generic_category().message(errnum));
  }
  if (errnum == EPERM && (kind == NFT_MSG_DELTABLE || kind == NFT_MSG_NEWTABLE)) {
    return {std::make_error_code(std::errc::operation_not_permitted),
            doing + ": another program owns the table (flag owner)"};
  }
  return {errnum, doing};
}

Notices leave_owned(Snapshot& snapshot, const std::string& table) {
  Notices notices;
  const auto stays = [&](const TableObject& object) {
    if (object.name == table || (object.flags & NFT_TABLE_F_OWNER) == 0) return false;
    notices.push_back("table " + quote(object.name) +
                      " of nf_tables belongs to another program (flag owner) and stays");
    return true;
  };
  if (snapshot.table && stays(*snapshot.table)) snapshot.table.reset();
  std::erase_if(snapshot.others, stays);
  return notices;
}

bool replace_tables(Socket& socket, const Snapshot& snapshot,
                    const std::vector<TableObject>& tables, Commit commit) {
  std::set<std::string> deleted;
  if (snapshot.table) deleted.insert(snapshot.table->name);
  for (const TableObject& table : snapshot.others) deleted.insert(table.name);
  const bool anyway = commit == Commit::anyway;
  Batch batch(anyway ? std::nullopt : std::optional(snapshot.generation));
  if (anyway) {
    // Others may have made or deleted them meanwhile.
    for (const TableObject& table : tables) deleted.insert(table.name);
    for (const std::string& name : deleted) batch.add_table(name);
  }
  for (const std::string& name : deleted) batch.delete_table(name);
  for (const TableObject& table : tables) batch.create_table(table);
  const Outcome outcome = socket.commit(batch);
  if (says_again(outcome.errnum)) return false;
  if (outcome.errnum != 0) throw explained(batch, outcome);
  return true;
}

Notices keep_writable(std::vector<TableObject>& tables) {
  Notices notices;
  for (TableObject& table : tables) keep_writable(table, notices);
  return notices;
}

}  // namespace sluice::kernel::nft

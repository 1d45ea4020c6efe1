// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/table.h"

#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/base_chain.h"
#include "rules/kernel/nft/rule.h"
#include "rules/kernel/nft/set.h"

namespace sluice::kernel::nft {
namespace {

namespace model = sluice::nft;

using Sets = std::map<std::string, const model::Set*, std::less<>>;

// How the chain differs from what the model says of one of that name; empty if it does not.
std::string strangeness(const ChainObject& chain, const model::ChainNames& names) {
  if (!is_builtin_chain(names.table, names.chain)) {
    return chain.hook ? "base chain with " + to_string(*chain.hook) : "";
  }
  if (!chain.hook) return "no base chain";
  if (*chain.hook != hook_of(names.table, names.chain)) {
    return "base chain with " + to_string(*chain.hook);
  }
  return {};
}

model::Chain decode_chain(const ChainObject& object, const KnownSet& known_set) {
  model::ChainNames names = model::parse_chain_name(object.name);
  std::string strange = strangeness(object, names);
  if (model::chain_name(names.table, names.chain) != object.name) {
    // Two chains must not become one.
    names.chain = "chain " + object.name;
    strange = "chain of another name";
  }
  model::Chain chain{.table = names.table, .name = names.chain};
  chain.rules = decode_rules(object.rules, chain.table, known_set);
  if (!strange.empty()) {
    chain.rules.insert(chain.rules.begin(), opaque_rule("nf_tables [" + strange + "]"));
  }
  return chain;
}

}  // namespace

TableObject encode_table(const sluice::nft::Table& table) {
  TableObject object{.name = table.name};
  for (const model::Set& set : table.sets) object.sets.push_back(encode_set(set));
  for (const model::Chain& chain : table.chains) {
    ChainObject made{.name = model::chain_name(chain.table, chain.name)};
    if (is_builtin_chain(chain.table, chain.name)) made.hook = hook_of(chain.table, chain.name);
    for (const model::Rule& rule : chain.rules) {
      std::vector<RuleObject> rules = encode_rule(rule, chain.table);
      std::move(rules.begin(), rules.end(), std::back_inserter(made.rules));
    }
    object.chains.push_back(std::move(made));
  }
  return object;
}

sluice::nft::Table decode_table(const TableObject& object) {
  model::Table table{.name = object.name};
  if ((object.flags & NFT_TABLE_F_DORMANT) != 0) return table;
  for (const SetObject& set : object.sets) {
    if (std::optional<model::Set> decoded = decode_set(set)) {
      table.sets.push_back(std::move(*decoded));
    }
  }
  Sets sets;
  for (const model::Set& set : table.sets) sets.emplace(set.name, &set);
  const KnownSet known_set = [&](const std::string& name, std::optional<Family> family) {
    const auto set = sets.find(name);
    return set != sets.end() && set->second->family == family;
  };
  for (const ChainObject& chain : object.chains) {
    table.chains.push_back(decode_chain(chain, known_set));
  }
  return table;
}

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/dump.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "rules/error.h"
#include "rules/kernel/nft/attribute.h"

namespace sluice::kernel::nft {
namespace {

// Of the whole process; see limit_rules().
std::atomic<std::size_t> most_rules{131'072};

Error malformed(const char* what) {
  return {EBADMSG, std::string("read ") + what + " of nf_tables"};
}

// Counts down to the limit.
void use(std::size_t& left, std::size_t count, const char* what) {
  if (left >= count) {
    left -= count;
    return;
  }
  throw Error(std::make_error_code(std::errc::argument_list_too_long),
              std::string("nf_tables holds more ") + what + " than are ever looked at");
}

void use_one(std::size_t& left, const char* what) {
  use(left, 1, what);
}

AttributeSet require(std::optional<AttributeSet> attributes, const char* what) {
  if (!attributes) throw malformed(what);
  return *attributes;
}

template <class T>
T require_value(std::optional<T> value, const char* what) {
  if (!value) throw malformed(what);
  return std::move(*value);
}

Hook read_hook(const AttributeSet& chain) {
  const auto hook = require(
      AttributeSet::read_some(*chain.value(NFTA_CHAIN_HOOK), {NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY,
                                                              NFTA_HOOK_DEV, NFTA_HOOK_DEVS}),
      "a hook");
  const std::uint32_t flags = chain.u32(NFTA_CHAIN_FLAGS).value_or(0);
  return {
      .number = require_value(hook.u32(NFTA_HOOK_HOOKNUM), "a hook"),
      .priority = static_cast<std::int32_t>(require_value(hook.u32(NFTA_HOOK_PRIORITY), "a hook")),
      .type = chain.string(NFTA_CHAIN_TYPE).value_or(""),
      .policy = require_value(chain.u32(NFTA_CHAIN_POLICY), "a policy"),
      .special = hook.has(NFTA_HOOK_DEV) || hook.has(NFTA_HOOK_DEVS) ||
                 (flags & ~unsigned{NFT_CHAIN_BASE}) != 0};
}

// Nothing if it is more than a key.
std::optional<ElementObject> read_element(View bytes) {
  const auto all = AttributeSet::read(
      bytes, {NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_FLAGS, NFTA_SET_ELEM_USERDATA, NFTA_SET_ELEM_PAD});
  if (!all || !all->has(NFTA_SET_ELEM_KEY)) return std::nullopt;
  const auto key = AttributeSet::read(*all->value(NFTA_SET_ELEM_KEY), {NFTA_DATA_VALUE});
  const std::uint32_t flags = all->u32(NFTA_SET_ELEM_FLAGS).value_or(0);
  if (!key || !key->has(NFTA_DATA_VALUE)) return std::nullopt;
  if ((flags & ~unsigned{NFT_SET_ELEM_INTERVAL_END}) != 0) return std::nullopt;
  const View value = *key->value(NFTA_DATA_VALUE);
  return ElementObject{.key = Bytes(value.begin(), value.end()), .end = flags != 0};
}

}  // namespace

void limit_rules(std::size_t rules) {
  most_rules = rules;
}

std::size_t rule_limit() {
  return most_rules;
}

void Dump::add(View message) {
  const Message read = read_message(message);
  if (read.family != NFPROTO_INET) return;
  if (read.is(NFT_MSG_NEWTABLE)) add_table(read.attributes);
  if (read.is(NFT_MSG_NEWCHAIN)) add_chain(read.attributes);
  if (read.is(NFT_MSG_NEWRULE)) add_rule(read.attributes);
  if (read.is(NFT_MSG_NEWSET)) add_set(read.attributes);
  if (read.is(NFT_MSG_NEWSETELEM)) add_elements(read.attributes);
}

void Dump::add_all(View buffer) {
  for (const View message : split_messages(buffer)) add(message);
}

const TableObject* Dump::find_table(const std::string& table) const {
  const auto entry = entries_.find(table);
  return entry == entries_.end() ? nullptr : &entry->second.table;
}

std::vector<TableObject> Dump::take() {
  std::vector<TableObject> all;
  for (auto& [name, entry] : entries_) all.push_back(std::move(entry.table));
  entries_.clear();
  return all;
}

Dump::Entry* Dump::find(const std::string& table) {
  const auto entry = entries_.find(table);
  return entry == entries_.end() ? nullptr : &entry->second;
}

void Dump::add_table(View bytes) {
  const auto all =
      require(AttributeSet::read_some(bytes, {NFTA_TABLE_NAME, NFTA_TABLE_FLAGS}), "a table");
  use_one(limits_.tables, "tables");
  TableObject table{.name = require_value(all.string(NFTA_TABLE_NAME), "a table"),
                    .flags = all.u32(NFTA_TABLE_FLAGS).value_or(0)};
  std::string name = table.name;
  entries_.emplace(std::move(name), Entry{.table = std::move(table)});
}

void Dump::add_chain(View bytes) {
  const auto all = require(
      AttributeSet::read_some(bytes, {NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK,
                                      NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE, NFTA_CHAIN_FLAGS}),
      "a chain");
  Entry* entry = find(require_value(all.string(NFTA_CHAIN_TABLE), "a chain"));
  if (entry == nullptr) return;
  use_one(limits_.chains, "chains");
  ChainObject chain{.name = require_value(all.string(NFTA_CHAIN_NAME), "a chain")};
  if (all.has(NFTA_CHAIN_HOOK)) chain.hook = read_hook(all);
  if (!entry->chains.emplace(chain.name, entry->table.chains.size()).second) return;
  entry->table.chains.push_back(std::move(chain));
}

void Dump::add_rule(View bytes) {
  const auto all = require(
      AttributeSet::read_some(
          bytes, {NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_USERDATA}),
      "a rule");
  Entry* entry = find(require_value(all.string(NFTA_RULE_TABLE), "a rule"));
  if (entry == nullptr) return;
  const auto chain = entry->chains.find(require_value(all.string(NFTA_RULE_CHAIN), "a rule"));
  if (chain == entry->chains.end()) return;
  use_one(limits_.rules, "rules");
  Expressions expressions = read_expressions(all.value(NFTA_RULE_EXPRESSIONS).value_or(View()));
  use(limits_.expressions, expressions.size(), "expressions of rules");
  const View user_data = all.value(NFTA_RULE_USERDATA).value_or(View());
  entry->table.chains[chain->second].rules.push_back(
      {.expressions = std::move(expressions),
       .user_data = Bytes(user_data.begin(), user_data.end())});
}

void Dump::add_set(View bytes) {
  const auto all = require(
      AttributeSet::read_some(
          bytes, {NFTA_SET_TABLE, NFTA_SET_NAME, NFTA_SET_FLAGS, NFTA_SET_KEY_TYPE,
                  NFTA_SET_KEY_LEN, NFTA_SET_DATA_TYPE, NFTA_SET_DATA_LEN, NFTA_SET_TIMEOUT,
                  NFTA_SET_GC_INTERVAL, NFTA_SET_OBJ_TYPE, NFTA_SET_EXPR, NFTA_SET_EXPRESSIONS}),
      "a set");
  Entry* entry = find(require_value(all.string(NFTA_SET_TABLE), "a set"));
  if (entry == nullptr) return;
  use_one(limits_.sets, "sets");
  constexpr std::array<unsigned, 7> special{
      NFTA_SET_DATA_TYPE, NFTA_SET_DATA_LEN, NFTA_SET_TIMEOUT,    NFTA_SET_GC_INTERVAL,
      NFTA_SET_OBJ_TYPE,  NFTA_SET_EXPR,     NFTA_SET_EXPRESSIONS};
  SetObject set{.name = require_value(all.string(NFTA_SET_NAME), "a set"),
                .flags = all.u32(NFTA_SET_FLAGS).value_or(0),
                .key_type = all.u32(NFTA_SET_KEY_TYPE).value_or(0),
                .key_length = all.u32(NFTA_SET_KEY_LEN).value_or(0),
                .special = std::any_of(special.begin(), special.end(),
                                       [&](unsigned type) { return all.has(type); })};
  if (!entry->sets.emplace(set.name, entry->table.sets.size()).second) return;
  entry->table.sets.push_back(std::move(set));
}

void Dump::add_elements(View bytes) {
  const auto all = require(
      AttributeSet::read_some(
          bytes, {NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_ELEMENTS}),
      "elements");
  Entry* entry = find(require_value(all.string(NFTA_SET_ELEM_LIST_TABLE), "elements"));
  if (entry == nullptr) return;
  const auto place =
      entry->sets.find(require_value(all.string(NFTA_SET_ELEM_LIST_SET), "elements"));
  if (place == entry->sets.end()) return;
  SetObject& set = entry->table.sets[place->second];
  const auto elements = require_value(
      read_attributes(all.value(NFTA_SET_ELEM_LIST_ELEMENTS).value_or(View())), "elements");
  for (const Attribute& attribute : elements) {
    use_one(limits_.elements, "elements of sets");
    if (std::optional<ElementObject> element = read_element(attribute.value)) {
      set.elements.push_back(std::move(*element));
    } else {
      set.special = true;
    }
  }
}

std::optional<ChainPlace> chain_in(View message) {
  const Message read = read_message(message);
  if (read.family != NFPROTO_INET || !read.is(NFT_MSG_NEWCHAIN)) return std::nullopt;
  const auto all = require(
      AttributeSet::read_some(read.attributes, {NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME}), "a chain");
  return ChainPlace{.table = require_value(all.string(NFTA_CHAIN_TABLE), "a chain"),
                    .chain = require_value(all.string(NFTA_CHAIN_NAME), "a chain")};
}

bool Message::is(unsigned kind) const {
  return type == ((unsigned{NFNL_SUBSYS_NFTABLES} << 8U) | kind);
}

std::vector<View> split_messages(View buffer) {
  std::vector<View> all;
  while (!buffer.empty()) {
    nlmsghdr header{};
    if (buffer.size() < sizeof header) throw malformed("a message");
    std::memcpy(&header, buffer.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > buffer.size()) {
      throw malformed("a message");
    }
    all.push_back(buffer.first(header.nlmsg_len));
    buffer = buffer.subspan(std::min<std::size_t>(buffer.size(), NLMSG_ALIGN(header.nlmsg_len)));
  }
  return all;
}

Message read_message(View message) {
  nlmsghdr header{};
  if (message.size() < sizeof header) throw malformed("a message");
  std::memcpy(&header, message.data(), sizeof header);
  Message read{.type = header.nlmsg_type,
               .flags = header.nlmsg_flags,
               .sequence = header.nlmsg_seq,
               .sender = header.nlmsg_pid,
               .payload = message.subspan(sizeof header)};
  nfgenmsg netfilter{};
  if (read.payload.size() >= sizeof netfilter && read.type >= NLMSG_MIN_TYPE) {
    std::memcpy(&netfilter, read.payload.data(), sizeof netfilter);
    read.family = netfilter.nfgen_family;
    read.attributes = read.payload.subspan(sizeof netfilter);
  }
  return read;
}

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/batch.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "rules/error.h"

namespace sluice::kernel::nft {
namespace {

// An element has at most 44 bytes, an attribute at most 64 KiB.
constexpr std::size_t elements_in_message = 1000;

constexpr std::uint16_t create = NLM_F_REQUEST | NLM_F_CREATE;

template <class T>
void append_struct(Bytes& bytes, const T& value) {
  const std::size_t place = bytes.size();
  bytes.resize(place + sizeof value);
  std::memcpy(&bytes[place], &value, sizeof value);
}

void append_headers(Bytes& bytes, unsigned type, std::uint16_t flags, std::size_t sequence,
                    unsigned family, std::uint16_t resource = 0) {
  nlmsghdr header{};
  header.nlmsg_type = static_cast<std::uint16_t>(type);
  header.nlmsg_flags = flags;
  header.nlmsg_seq = static_cast<std::uint32_t>(sequence);
  append_struct(bytes, header);
  append_struct(bytes, nfgenmsg{.nfgen_family = static_cast<std::uint8_t>(family),
                                .version = NFNETLINK_V0,
                                .res_id = htons(resource)});
}

void set_length(Bytes& bytes, std::size_t message) {
  const auto length = static_cast<std::uint32_t>(bytes.size() - message);
  std::memcpy(&bytes.at(message), &length, sizeof length);
}

unsigned message_type(unsigned kind) {
  return (unsigned{NFNL_SUBSYS_NFTABLES} << 8U) | kind;
}

Bytes request(unsigned kind, unsigned family) {
  Bytes bytes;
  append_headers(bytes, message_type(kind), NLM_F_REQUEST, 0, family);
  return bytes;
}

}  // namespace

Batch::Batch(std::optional<std::uint32_t> generation) {
  begin_message(NFNL_MSG_BATCH_BEGIN, AF_UNSPEC, NLM_F_REQUEST, NFNL_SUBSYS_NFTABLES);
  if (generation) writer_.put_u32(NFNL_BATCH_GENID, *generation);
  end_message();
  done_.push_back({.kind = NFT_MSG_MAX, .doing = "begin a transaction"});
}

void Batch::begin_message(unsigned type, unsigned family, std::uint16_t flags,
                          std::uint16_t resource) {
  message_ = bytes_.size();
  append_headers(bytes_, type, flags, done_.size(), family, resource);
}

void Batch::end_message() {
  set_length(bytes_, message_);
}

void Batch::begin(unsigned kind, std::uint16_t flags, std::string doing) {
  begin_message(message_type(kind), NFPROTO_INET, flags, 0);
  done_.push_back({.kind = kind, .doing = std::move(doing)});
}

// Without flags: those of a table that is there would change.
void Batch::add_table(const std::string& table) {
  begin(NFT_MSG_NEWTABLE, create, "add table " + quote(table));
  writer_.put_string(NFTA_TABLE_NAME, table);
  end_message();
}

void Batch::delete_table(const std::string& table) {
  begin(NFT_MSG_DELTABLE, NLM_F_REQUEST, "delete table " + quote(table));
  writer_.put_string(NFTA_TABLE_NAME, table);
  end_message();
}

void Batch::create_table(const TableObject& table) {
  begin(NFT_MSG_NEWTABLE, create, "create table " + quote(table.name));
  writer_.put_string(NFTA_TABLE_NAME, table.name);
  writer_.put_u32(NFTA_TABLE_FLAGS, table.flags);
  end_message();
  for (const SetObject& set : table.sets) create_set(table.name, set);
  for (const SetObject& set : table.sets) add_elements(table.name, set);
  for (const ChainObject& chain : table.chains) create_chain(table.name, chain);
  for (const ChainObject& chain : table.chains) {
    for (const RuleObject& rule : chain.rules) add_rule(table.name, chain.name, rule);
  }
}

void Batch::create_chain(const std::string& table, const ChainObject& chain) {
  begin(NFT_MSG_NEWCHAIN, create, "create chain " + quote(chain.name));
  writer_.put_string(NFTA_CHAIN_TABLE, table);
  writer_.put_string(NFTA_CHAIN_NAME, chain.name);
  if (chain.hook) {
    const std::size_t hook = writer_.begin(NFTA_CHAIN_HOOK);
    writer_.put_u32(NFTA_HOOK_HOOKNUM, chain.hook->number);
    writer_.put_u32(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(chain.hook->priority));
    writer_.end(hook);
    writer_.put_u32(NFTA_CHAIN_POLICY, chain.hook->policy);
    writer_.put_string(NFTA_CHAIN_TYPE, chain.hook->type);
  }
  end_message();
}

void Batch::create_set(const std::string& table, const SetObject& set) {
  begin(NFT_MSG_NEWSET, create, "create set " + quote(set.name));
  writer_.put_string(NFTA_SET_TABLE, table);
  writer_.put_string(NFTA_SET_NAME, set.name);
  writer_.put_u32(NFTA_SET_FLAGS, set.flags);
  writer_.put_u32(NFTA_SET_KEY_TYPE, set.key_type);
  writer_.put_u32(NFTA_SET_KEY_LEN, set.key_length);
  writer_.put_u32(NFTA_SET_ID, ++sets_);
  end_message();
}

void Batch::add_elements(const std::string& table, const SetObject& set) {
  for (std::size_t first = 0; first < set.elements.size(); first += elements_in_message) {
    begin(NFT_MSG_NEWSETELEM, create, "add elements to set " + quote(set.name));
    writer_.put_string(NFTA_SET_ELEM_LIST_TABLE, table);
    writer_.put_string(NFTA_SET_ELEM_LIST_SET, set.name);
    const std::size_t list = writer_.begin(NFTA_SET_ELEM_LIST_ELEMENTS);
    const std::size_t end = std::min(first + elements_in_message, set.elements.size());
    for (std::size_t i = first; i < end; ++i) {
      const ElementObject& element = set.elements[i];
      const std::size_t begun = writer_.begin(NFTA_LIST_ELEM);
      if (element.end) writer_.put_u32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
      const std::size_t key = writer_.begin(NFTA_SET_ELEM_KEY);
      writer_.put(NFTA_DATA_VALUE, element.key);
      writer_.end(key);
      writer_.end(begun);
    }
    writer_.end(list);
    end_message();
  }
}

void Batch::add_rule(const std::string& table, const std::string& chain, const RuleObject& rule) {
  begin(NFT_MSG_NEWRULE, create | NLM_F_APPEND, "add a rule to chain " + quote(chain));
  writer_.put_string(NFTA_RULE_TABLE, table);
  writer_.put_string(NFTA_RULE_CHAIN, chain);
  writer_.put(NFTA_RULE_EXPRESSIONS, write_expressions(rule.expressions));
  if (!rule.user_data.empty()) writer_.put(NFTA_RULE_USERDATA, rule.user_data);
  end_message();
}

const Bytes& Batch::finish() {
  nlmsghdr header{};
  std::memcpy(&header, &bytes_.at(message_), sizeof header);
  header.nlmsg_flags |= NLM_F_ACK;
  std::memcpy(&bytes_.at(message_), &header, sizeof header);
  if (open_) return bytes_;
  begin_message(NFNL_MSG_BATCH_END, AF_UNSPEC, NLM_F_REQUEST, NFNL_SUBSYS_NFTABLES);
  end_message();
  return bytes_;
}

const std::string& Batch::doing(std::uint32_t sequence) const {
  return done_.at(sequence < done_.size() ? sequence : 0).doing;
}

unsigned Batch::kind(std::uint32_t sequence) const {
  return done_.at(sequence < done_.size() ? sequence : 0).kind;
}

Bytes list_request(unsigned kind, std::string_view table, std::string_view set) {
  Bytes bytes = request(kind, NFPROTO_INET);
  AttributeWriter writer(bytes);
  // NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE and NFTA_SET_ELEM_LIST_TABLE are all 1.
  if (!table.empty()) writer.put_string(NFTA_RULE_TABLE, table);
  if (!set.empty()) writer.put_string(NFTA_SET_ELEM_LIST_SET, set);
  set_length(bytes, 0);
  return bytes;
}

Bytes generation_request() {
  Bytes bytes = request(NFT_MSG_GETGEN, AF_UNSPEC);
  set_length(bytes, 0);
  return bytes;
}

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
// Reads nf_tables' objects from the kernel's messages (struct nlmsghdr, struct nfgenmsg and
// attributes). No socket: whatever bytes it is given, it ends and throws nothing but Error.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rules/kernel/nft/bytes.h"
#include "rules/kernel/nft/object.h"

namespace sluice::kernel::nft {

// Rules of every table that this process reads from now on; 131,072 before, as of x_tables
// (xt/vet.h). A program that lives long and reads what tenants wrote needs less than a plugin,
// which must read what it has written.
void limit_rules(std::size_t rules);
std::size_t rule_limit();

// Of everything together that was read from a namespace.
struct DumpLimits {
  std::size_t tables = 1000;
  std::size_t chains = 32'768;
  std::size_t rules = rule_limit();
  // A rule of ours has about ten.
  std::size_t expressions = 16 * rule_limit();
  std::size_t sets = 32'768;
  std::size_t elements = 200'000;
};

// The inet tables of which it was told, with what belongs to them. Objects come in this order:
// tables, chains, rules, sets, elements; what belongs to no table, chain or set that is there is
// left out.
class Dump {
 public:
  explicit Dump(DumpLimits limits = {}) : limits_(limits) {}

  // A message as it comes from the kernel, header and all. Messages of other types and families
  // are skipped. Throws Error: E2BIG beyond the limits, EBADMSG for what is not laid out as a
  // message of its type.
  void add(View message);

  // Every message in the buffer, one behind the other.
  void add_all(View buffer);

  // nullptr if it was not told of it. Stays where it is until take().
  const TableObject* find_table(const std::string& table) const;

  // All of them, sorted by name; it has none any more.
  std::vector<TableObject> take();

 private:
  using Places = std::map<std::string, std::size_t, std::less<>>;
  // Names of chains and sets lead to their places.
  struct Entry {
    TableObject table;
    Places chains = {};
    Places sets = {};
  };

  Entry* find(const std::string& table);
  void add_table(View bytes);
  void add_chain(View bytes);
  void add_rule(View bytes);
  void add_set(View bytes);
  void add_elements(View bytes);

  DumpLimits limits_;  // what is left of them
  std::map<std::string, Entry, std::less<>> entries_;
};

struct ChainPlace {
  std::string table;
  std::string chain;
};
// Of the chain of an inet table that the message tells of; nothing for other messages. Throws Error
// (EBADMSG).
std::optional<ChainPlace> chain_in(View message);

// The headers of a message and what follows them. Nothing if it is shorter than its headers.
struct Message {
  unsigned type = 0;
  unsigned flags = 0;
  unsigned sequence = 0;
  unsigned sender = 0;   // the port it answers to
  unsigned family = 0;   // struct nfgenmsg's, which messages of netlink itself have not
  View payload = {};     // behind struct nlmsghdr
  View attributes = {};  // behind struct nfgenmsg

  // Whether the type is this one of nf_tables' (NFT_MSG_*).
  bool is(unsigned kind) const;
};

// The messages in a buffer. Throws Error (EBADMSG) where a length is wrong.
std::vector<View> split_messages(View buffer);
// Of one of them.
Message read_message(View message);

}  // namespace sluice::kernel::nft

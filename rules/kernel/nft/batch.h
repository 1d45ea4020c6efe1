// SPDX-License-Identifier: GPL-2.0-or-later
// nf_tables' messages to the kernel, as bytes. No socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/kernel/nft/attribute.h"
#include "rules/kernel/nft/object.h"

namespace sluice::kernel::nft {

// A transaction: the kernel does all of it or nothing.
class Batch {
 public:
  // It is refused (ERESTART) unless the namespace's rules are of this generation, if one is given.
  // Messages are numbered from 0, which begins the batch.
  explicit Batch(std::optional<std::uint32_t> generation);
  Batch(const Batch&) = delete;
  Batch(Batch&&) = delete;
  Batch& operator=(const Batch&) = delete;
  Batch& operator=(Batch&&) = delete;
  ~Batch() = default;

  // Whether it is there or not.
  void add_table(const std::string& table);
  void delete_table(const std::string& table);
  // The table must not be there, or be deleted before in this batch. Throws Error for an Unknown
  // expression, and for an object that is longer than a message can hold.
  void create_table(const TableObject& table);

  // It will have no end: the kernel looks at all of it and undoes it.
  void leave_open() { open_ = true; }

  // Ends it. Only the last message but the end is acknowledged: what fails before it is told first.
  const Bytes& finish();

  // What the message with this number does, for an error: "create chain \"x\"".
  const std::string& doing(std::uint32_t sequence) const;
  // NFT_MSG_* of that message, NFT_MSG_MAX if it is none.
  unsigned kind(std::uint32_t sequence) const;

 private:
  struct Done {
    unsigned kind = 0;
    std::string doing;
  };

  void begin(unsigned kind, std::uint16_t flags, std::string doing);
  void begin_message(unsigned type, unsigned family, std::uint16_t flags, std::uint16_t resource);
  void end_message();
  void create_chain(const std::string& table, const ChainObject& chain);
  void create_set(const std::string& table, const SetObject& set);
  void add_elements(const std::string& table, const SetObject& set);
  void add_rule(const std::string& table, const std::string& chain, const RuleObject& rule);

  Bytes bytes_;
  AttributeWriter writer_{bytes_};
  std::size_t message_ = 0;  // where the last one begins
  std::vector<Done> done_;
  std::uint32_t sets_ = 0;
  bool open_ = false;
};

// A request that lists objects: `kind` is NFT_MSG_GETTABLE, GETCHAIN, GETRULE, GETSET or
// GETSETELEM. `table` may be empty, `set` is only for elements.
Bytes list_request(unsigned kind, std::string_view table = {}, std::string_view set = {});
// Asks for the generation of the namespace's rules.
Bytes generation_request();

}  // namespace sluice::kernel::nft

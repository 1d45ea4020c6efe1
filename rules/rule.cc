// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/rule.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sluice {
namespace {

constexpr std::array<std::pair<Table, const char*>, 4> table_names{{
    {Table::raw, "raw"},
    {Table::mangle, "mangle"},
    {Table::nat, "nat"},
    {Table::filter, "filter"},
}};

template <class Tables>
auto find_chain_in(Tables& table, const std::string& name) {
  const auto chain = std::find_if(table.chains.begin(), table.chains.end(),
                                  [&](const Chain& c) { return c.name == name; });
  return chain == table.chains.end() ? nullptr : &*chain;
}

}  // namespace

const std::vector<std::string>& builtin_chains(Table table) {
  static const std::vector<std::string> raw{"PREROUTING", "OUTPUT"};
  static const std::vector<std::string> mangle{"PREROUTING", "INPUT", "FORWARD", "OUTPUT",
                                               "POSTROUTING"};
  static const std::vector<std::string> nat{"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"};
  static const std::vector<std::string> filter{"INPUT", "FORWARD", "OUTPUT"};
  switch (table) {
    case Table::raw:
      return raw;
    case Table::mangle:
      return mangle;
    case Table::nat:
      return nat;
    case Table::filter:
      return filter;
  }
  return filter;
}

bool is_builtin_chain(Table table, const std::string& name) {
  const std::vector<std::string>& names = builtin_chains(table);
  return std::find(names.begin(), names.end(), name) != names.end();
}

const char* to_string(Table table) {
  return table_names.at(static_cast<std::size_t>(table)).second;
}

std::optional<Table> parse_table(const std::string& name) {
  for (const auto& [table, text] : table_names) {
    if (name == text) return table;
  }
  return std::nullopt;
}

std::string to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::icmp:
      return "icmp";
    case Protocol::tcp:
      return "tcp";
    case Protocol::udp:
      return "udp";
    case Protocol::icmpv6:
      return "ipv6-icmp";
  }
  return std::to_string(static_cast<unsigned>(protocol));
}

const char* to_string(Family family) {
  return family == Family::ipv4 ? "IPv4" : "IPv6";
}

bool is_nflog_prefix(std::string_view text) {
  constexpr std::size_t limit = 63;  // sizeof(xt_nflog_info::prefix) - 1
  return text.size() <= limit && std::none_of(text.begin(), text.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte < 0x20 || byte == 0x7f;
         });
}

const TableRules* find_table(const Ruleset& ruleset, Table table) {
  const auto found = std::find_if(ruleset.tables.begin(), ruleset.tables.end(),
                                  [&](const TableRules& t) { return t.table == table; });
  return found == ruleset.tables.end() ? nullptr : &*found;
}

const Chain* find_chain(const TableRules& table, const std::string& name) {
  return find_chain_in(table, name);
}

Chain* find_chain(TableRules& table, const std::string& name) {
  return find_chain_in(table, name);
}

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/nft/text.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "rules/error.h"
#include "rules/nft/text_part.h"
#include "rules/nft/text_rule.h"

namespace sluice::nft {
namespace {

// So many elements nft lists in a line, by how long they may be.
std::size_t elements_in_line(const Set& set) {
  if (!set.family) return 5;
  return set.family == Family::ipv4 ? 2 : 1;
}

std::string elements_text(const Set& set) {
  std::vector<std::string> elements;
  elements.reserve(set.ports.size() + set.cidrs.size());
  for (const PortRange ports : set.ports) elements.push_back(spelled(ports));
  for (const Cidr& cidr : set.cidrs) elements.push_back(spelled(cidr));
  if (elements.empty()) return "";
  std::string text = "\t\telements = { ";
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (i > 0) text += i % elements_in_line(set) == 0 ? ",\n\t\t\t     " : ", ";
    text += elements[i];
  }
  return text + " }\n";
}

std::string to_text(const Set& set) {
  const char* type = "inet_service";
  if (set.family) type = set.family == Family::ipv4 ? "ipv4_addr" : "ipv6_addr";
  return "\tset " + identifier(set.name, "set") + " {\n\t\ttype " + type +
         "\n\t\tflags interval\n" + elements_text(set) + "\t}\n";
}

// nft's own names of the priorities, which it has for some hooks only.
std::string priority(sluice::Table table, std::string_view hook) {
  if (table != sluice::Table::nat) return to_string(table);
  if (hook == "PREROUTING") return "dstnat";
  if (hook == "POSTROUTING") return "srcnat";
  return hook == "OUTPUT" ? "-100" : "100";
}

const char* type_of(sluice::Table table, std::string_view hook) {
  if (table == sluice::Table::nat) return "nat";
  return table == sluice::Table::mangle && hook == "OUTPUT" ? "route" : "filter";
}

// nft's own words are all in small letters: a chain that is called like one of them has no
// spelling.
void refuse_word(const Chain& chain) {
  const bool capital = std::any_of(chain.name.begin(), chain.name.end(),
                                   [](char c) { return c >= 'A' && c <= 'Z'; });
  const bool plain = chain.table == sluice::Table::nat && !capital;
  if (plain) throw Error("chain " + quote(chain.name) + " may be a word of nft(8)'s own");
}

std::string to_text(const Chain& chain) {
  const std::string name = chain_name(chain.table, chain.name);
  refuse_word(chain);
  std::string text = "\tchain " + identifier(name, "chain") + " {\n";
  if (is_builtin_chain(chain.table, chain.name)) {
    text += std::string("\t\ttype ") + type_of(chain.table, chain.name) + " hook " +
            name.substr(0, name.find('-')) + " priority " + priority(chain.table, chain.name) +
            "; policy accept;\n";
  }
  for (const Rule& rule : chain.rules) {
    for (const std::string& line : rule_texts(rule, chain.table)) text += "\t\t" + line + "\n";
  }
  return text + "\t}\n";
}

}  // namespace

std::string to_text(const Table& table) {
  if (!is_table_name(table.name)) {
    throw Error("table " + quote(table.name) + " is no name that nft(8) reads");
  }
  // The first line lets the second one find something to delete.
  std::string text = "table inet " + table.name + "\ndelete table inet " + table.name + "\n";
  text += "table inet " + table.name + " {\n";
  bool first = true;
  const auto add = [&](const std::string& part) {
    text += (first ? "" : "\n") + part;
    first = false;
  };
  for (const Set& set : table.sets) add(to_text(set));
  for (const Chain& chain : table.chains) add(to_text(chain));
  return text + "}\n";
}

}  // namespace sluice::nft

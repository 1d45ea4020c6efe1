// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "rules/nft/model.h"
#include "rules/ownership.h"

namespace sluice::nft {
namespace {

// Without regard to the locale.
std::string converted(std::string_view text, char first, char last, int offset) {
  std::string result(text);
  for (char& c : result) {
    if (c >= first && c <= last) c = static_cast<char>(c + offset);
  }
  return result;
}

std::string lower(std::string_view text) {
  return converted(text, 'A', 'Z', 'a' - 'A');
}

std::string upper(std::string_view text) {
  return converted(text, 'a', 'z', 'A' - 'a');
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// An own chain of nat's, whatever it is called.
ChainNames own_of_nat(std::string_view name) {
  std::string chain(name);
  if (is_builtin_chain(sluice::Table::nat, chain)) chain += "-nat";
  return {.table = sluice::Table::nat, .chain = chain};
}

}  // namespace

std::string chain_name(sluice::Table table, std::string_view chain) {
  const std::string suffix = std::string("-") + to_string(table);
  if (is_builtin_chain(table, std::string(chain))) return lower(chain) + suffix;
  return table == sluice::Table::nat ? std::string(chain) : std::string(chain) + suffix;
}

ChainNames parse_chain_name(std::string_view name) {
  const std::size_t dash = name.rfind('-');
  if (dash == std::string_view::npos) return own_of_nat(name);
  const auto table = parse_table(std::string(name.substr(dash + 1)));
  if (!table || dash == 0) return own_of_nat(name);
  const std::string_view front = name.substr(0, dash);
  const std::string hook = upper(front);
  if (is_builtin_chain(*table, hook) && lower(front) == front) {
    return {.table = *table, .chain = hook};
  }
  const std::string chain(front);
  const bool own = *table != sluice::Table::nat && !is_builtin_chain(*table, chain);
  return own ? ChainNames{.table = *table, .chain = chain} : own_of_nat(name);
}

bool is_written(const ChainNames& names) {
  return is_owned_chain(names.chain) || is_builtin_chain(names.table, names.chain);
}

bool is_identifier(std::string_view name) {
  if (name.empty() || !is_letter(name.front())) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
  });
}

bool is_table_name(std::string_view name) {
  constexpr std::size_t limit = 31;
  return name.size() <= limit && is_identifier(name);
}

}  // namespace sluice::nft

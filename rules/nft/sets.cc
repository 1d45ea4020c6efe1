// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/nft/sets.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace sluice::nft {
namespace {

// With the family and a number behind it a name stays within set_name_limit.
constexpr std::size_t word_limit = 22;

const char* general_name(Varying varying) {
  switch (varying) {
    case Varying::destination:
      return "destinations";
    case Varying::source:
      return "sources";
    case Varying::nothing:
    case Varying::port:
      break;
  }
  return "ports";
}

// The first word of the origin, which is a setting's name.
std::string word_of(const Folded& folded) {
  const std::string_view text = folded.origin.text;
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  const auto* const end = std::find_if_not(text.begin(), text.end(), is_letter);
  const std::string word(text.begin(), end);
  if (word.empty()) return general_name(folded.varying);
  return word.substr(0, word_limit);
}

std::string name_of(const Folded& folded) {
  std::string word = word_of(folded);
  if (folded.cidrs.empty()) return word;
  return word + (folded.cidrs.front().address.family == Family::ipv4 ? "-v4" : "-v6");
}

}  // namespace

Rule Sets::named(Folded folded) {
  Rule rule = std::move(folded.rule);
  const Varying varying = folded.varying;
  if (varying == Varying::nothing) return rule;
  std::string& place = varying == Varying::port     ? rule.port_set
                       : varying == Varying::source ? rule.source_set
                                                    : rule.destination_set;
  const std::string name = name_of(folded);
  Use& use = uses_[{name, folded.ports, folded.cidrs}];
  if (use.rules % set_uses_limit == 0) use.name = add(name, std::move(folded));
  ++use.rules;
  place = use.name;
  return rule;
}

std::string Sets::add(const std::string& name, Folded folded) {
  const std::size_t number = ++counts_[name];
  Set& set = sets_.emplace_back();
  set.name = number == 1 ? name : name + "-" + std::to_string(number);
  if (!folded.cidrs.empty()) set.family = folded.cidrs.front().address.family;
  set.ports = std::move(folded.ports);
  set.cidrs = std::move(folded.cidrs);
  return set.name;
}

}  // namespace sluice::nft

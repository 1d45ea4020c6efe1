// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/text.h"

#include <array>
#include <charconv>

#include "rules/text_part.h"

namespace sluice {
namespace {

void append_interface(std::string& text, const char* option,
                      const std::optional<Interface>& interface) {
  if (interface) text += std::string(interface->negated ? " !" : "") + option + interface->name;
}

void append_address(std::string& text, const char* option,
                    const std::optional<AddressMatch>& match) {
  if (match) text += std::string(match->negated ? " !" : "") + option + to_string(match->cidr);
}

const char* policy_name(const Chain& chain) {
  if (!chain.policy) return "-";
  return *chain.policy == Policy::accept ? "ACCEPT" : "DROP";
}

std::string to_text(const Ruleset& ruleset, std::string (*declare)(const Chain&)) {
  std::string text;
  for (const TableRules& table : ruleset.tables) {
    text += std::string("*") + to_string(table.table) + "\n";
    for (const Chain& chain : table.chains) text += declare(chain);
    for (const Chain& chain : table.chains) {
      for (const Rule& rule : chain.rules) text += to_string(chain.name, rule) + "\n";
    }
    text += "COMMIT\n";
  }
  return text;
}

}  // namespace

std::string to_string(const std::string& chain, const Rule& rule) {
  std::string text = "-A " + chain;
  append_address(text, " -s ", rule.source);
  append_address(text, " -d ", rule.destination);
  append_interface(text, " -i ", rule.in);
  append_interface(text, " -o ", rule.out);
  if (rule.protocol) text += " -p " + to_string(*rule.protocol);
  for (const Match& match : rule.matches) text += to_string(match);
  return text + to_string(rule.target);
}

std::string to_save(const Ruleset& ruleset) {
  return to_text(ruleset, [](const Chain& chain) {
    return ":" + chain.name + " " + policy_name(chain) + " [0:0]\n";
  });
}

std::string to_restore(const Ruleset& ruleset) {
  return to_text(ruleset, [](const Chain& chain) {
    return chain.policy ? std::string() : "-N " + chain.name + "\n";
  });
}

std::string to_text(const std::vector<Ruleset>& rulesets, std::string (*print)(const Ruleset&)) {
  std::string text;
  for (const Ruleset& ruleset : rulesets) {
    if (ruleset.family == Family::ipv6) text += std::string(family_separator) + "\n";
    text += print(ruleset);
  }
  return text;
}

std::string to_string(const TproxyRoute& route) {
  constexpr std::size_t digits = 8;
  std::array<char, digits> text{};
  const auto [end, failure] = std::to_chars(text.data(), text.data() + text.size(), route.mark, 16);
  return "fwmark 0x" + std::string(text.data(), end) + " lookup " + std::to_string(route.table);
}

}  // namespace sluice

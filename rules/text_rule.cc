// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/text_rule.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "rules/error.h"
#include "rules/text_match.h"
#include "rules/text_target.h"

namespace sluice {
namespace {

std::optional<Protocol> parse_protocol(const std::string& name) {
  constexpr std::array<std::pair<std::string_view, Protocol>, 5> names{{
      {"icmp", Protocol::icmp},
      {"tcp", Protocol::tcp},
      {"udp", Protocol::udp},
      {"ipv6-icmp", Protocol::icmpv6},
      {"icmpv6", Protocol::icmpv6},
  }};
  for (const auto& [text, protocol] : names) {
    if (name == text) return protocol;
  }
  const bool number =
      std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!number) return std::nullopt;
  return static_cast<Protocol>(parse_decimal(name, 255, "protocol"));
}

// Reads the words behind `-A CHAIN`.
class RuleParser {
 public:
  RuleParser(const Words& words, std::size_t first, const std::set<std::string>& chains)
      : words_(words), next_(first), chains_(chains) {}

  Rule parse() {
    rule_.target = Opaque{};
    while (next_ < words_.size()) parse_part();
    return std::move(rule_);
  }

 private:
  void parse_part() {
    const bool negated = words_[next_] == "!" && next_ + 1 < words_.size();
    if (negated) ++next_;
    const std::string& option = words_[next_++];
    if (option == "-m" && !negated) {
      const std::string& name = value();
      rule_.matches.push_back(parse_match(name, take_until_part()));
    } else if (option == "-j" && !negated) {
      const std::string& name = value();
      rule_.target = parse_target(name, rest(), chains_);
    } else if (option == "-g" && !negated) {
      rule_.target = Jump{.chain = value(), .go_to = true};
    } else {
      parse_header(option, negated);
    }
  }

  void parse_header(const std::string& option, bool negated) {
    if (option == "-s") {
      rule_.source = address(negated);
    } else if (option == "-d") {
      rule_.destination = address(negated);
    } else if (option == "-i") {
      rule_.in = Interface{.name = value(), .negated = negated};
    } else if (option == "-o") {
      rule_.out = Interface{.name = value(), .negated = negated};
    } else if (option == "-p" && !negated && next_ < words_.size() &&
               parse_protocol(words_[next_])) {
      rule_.protocol = parse_protocol(value());
    } else {
      const std::string text = join(take_until_part());
      rule_.matches.emplace_back(
          Opaque{(negated ? "! " : "") + option + (text.empty() ? "" : " ") + text});
    }
  }

  AddressMatch address(bool negated) {
    const std::string& text = value();
    if (text.find('/') != std::string::npos) return {.cidr = parse_cidr(text), .negated = negated};
    const IpAddress host = parse_address(text);
    return {.cidr = make_cidr(host, address_bits(host.family)), .negated = negated};
  }

  const std::string& value() {
    if (next_ >= words_.size()) {
      throw Error("option " + quote(words_.back()) + " has no value");
    }
    return words_[next_++];
  }

  // The words up to the next match, target or negated header option.
  Words take_until_part() {
    Words taken;
    while (next_ < words_.size() && words_[next_] != "-m" && words_[next_] != "-j" &&
           words_[next_] != "-g") {
      taken.push_back(words_[next_++]);
    }
    return taken;
  }

  Words rest() {
    Words taken(words_.begin() + static_cast<std::ptrdiff_t>(next_), words_.end());
    next_ = words_.size();
    return taken;
  }

  const Words& words_;
  std::size_t next_;
  const std::set<std::string>& chains_;
  Rule rule_;
};

}  // namespace

Rule parse_rule(const Words& words, std::size_t first, const std::set<std::string>& chains) {
  return RuleParser(words, first, chains).parse();
}

}  // namespace sluice

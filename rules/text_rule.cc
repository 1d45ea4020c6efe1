// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/text_rule.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "rules/error.h"

namespace sluice {
namespace {

std::string join(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

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

PortRange parse_ports(const std::string& text) {
  const auto port = [](std::string_view part) {
    return static_cast<std::uint16_t>(parse_decimal(part, 65535, "port"));
  };
  const std::string_view all = text;
  const std::size_t colon = all.find(':');
  if (colon == std::string_view::npos) return {.first = port(all), .last = port(all)};
  return {.first = port(all.substr(0, colon)), .last = port(all.substr(colon + 1))};
}

OwnerRange parse_owner(const std::string& text, bool negated) {
  const auto id = [](std::string_view part) {
    return static_cast<std::uint32_t>(parse_decimal(part, 0xffffffff, "owner"));
  };
  const std::string_view all = text;
  const std::size_t dash = all.find('-');
  if (dash == std::string_view::npos) {
    return {.first = id(all), .last = id(all), .negated = negated};
  }
  return {.first = id(all.substr(0, dash)), .last = id(all.substr(dash + 1)), .negated = negated};
}

std::optional<std::uint8_t> parse_tcp_flag_names(std::string_view text) {
  constexpr std::array<std::string_view, 6> names{"FIN", "SYN", "RST", "PSH", "ACK", "URG"};
  if (text == "NONE") return 0;
  unsigned bits = 0;
  while (!text.empty()) {
    const std::string_view name = text.substr(0, text.find(','));
    const auto* const found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) return std::nullopt;
    bits |= 1U << static_cast<unsigned>(found - names.begin());
    text.remove_prefix(std::min(text.size(), name.size() + 1));
  }
  return static_cast<std::uint8_t>(bits);
}

// Walks over the options of one match or target: `[!] --name value...`.
class Options {
 public:
  explicit Options(const Words& words) : words_(words) {}

  bool done() const { return next_ >= words_.size(); }
  bool take_negation() {
    if (words_[next_] != "!" || next_ + 1 >= words_.size()) return false;
    ++next_;
    return true;
  }
  const std::string& take() { return words_[next_++]; }
  std::size_t left() const { return words_.size() - next_; }

 private:
  const Words& words_;
  std::size_t next_ = 0;
};

template <class Ports>
bool parse_port_option(Ports& match, const std::string& name, const std::string& value,
                       bool negated) {
  const PortMatch ports{.ports = parse_ports(value), .negated = negated};
  if (name == "--sport") {
    match.source = ports;
  } else if (name == "--dport") {
    match.destination = ports;
  } else {
    return false;
  }
  return true;
}

std::optional<Match> parse_tcp(Options options) {
  Tcp tcp;
  while (!options.done()) {
    const bool negated = options.take_negation();
    const std::string& name = options.take();
    if (options.left() == 0) return std::nullopt;
    if (name == "--tcp-flags" && options.left() >= 2) {
      const auto mask = parse_tcp_flag_names(options.take());
      const auto compare = parse_tcp_flag_names(options.take());
      if (!mask || !compare) return std::nullopt;
      tcp.flags = TcpFlags{.mask = *mask, .compare = *compare, .negated = negated};
    } else if (name != "--sport" && name != "--dport") {
      return std::nullopt;
    } else {
      parse_port_option(tcp, name, options.take(), negated);
    }
  }
  return tcp;
}

std::optional<Match> parse_udp(Options options) {
  Udp udp;
  while (!options.done()) {
    const bool negated = options.take_negation();
    const std::string& name = options.take();
    if (options.left() == 0 || (name != "--sport" && name != "--dport")) return std::nullopt;
    parse_port_option(udp, name, options.take(), negated);
  }
  return udp;
}

std::optional<Match> parse_owner_match(Options options) {
  Owner owner;
  while (!options.done()) {
    const bool negated = options.take_negation();
    const std::string& name = options.take();
    if (options.left() == 0) return std::nullopt;
    if (name == "--uid-owner") {
      owner.uid = parse_owner(options.take(), negated);
    } else if (name == "--gid-owner") {
      owner.gid = parse_owner(options.take(), negated);
    } else {
      return std::nullopt;
    }
  }
  return owner;
}

Match parse_match(const std::string& name, const Words& options) {
  std::optional<Match> match;
  if (name == "tcp") match = parse_tcp(Options(options));
  if (name == "udp") match = parse_udp(Options(options));
  if (name == "owner") match = parse_owner_match(Options(options));
  if (match) return *match;
  const std::string text = join(options);
  return Opaque{"-m " + name + (text.empty() ? "" : " ") + text};
}

Target parse_target(const std::string& name, const Words& options,
                    const std::set<std::string>& chains) {
  const std::string text = join(options);
  if (text.empty()) {
    if (name == "ACCEPT") return Accept{};
    if (name == "DROP") return Drop{};
    if (name == "RETURN") return Return{};
    if (chains.contains(name)) return Jump{name};
  }
  const bool one_port = options.size() == 2 && options[0] == "--to-ports" &&
                        options[1].find('-') == std::string::npos;
  if (name == "REDIRECT" && one_port) {
    return Redirect{static_cast<std::uint16_t>(parse_decimal(options[1], 65535, "port"))};
  }
  if (name == "REJECT" && text == "--reject-with tcp-reset") return RejectWithTcpReset{};
  return Opaque{"-j " + name + (text.empty() ? "" : " ") + text};
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

Words split_words(std::string_view line) {
  Words words;
  std::string word;
  bool in_quotes = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == ' ' && !in_quotes) {
      if (!word.empty()) words.push_back(std::exchange(word, {}));
      continue;
    }
    if (c == '"') in_quotes = !in_quotes;
    word += c;
    if (c == '\\' && in_quotes && i + 1 < line.size()) word += line[++i];
  }
  if (in_quotes) throw Error("a quote is not closed");
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

Rule parse_rule(const Words& words, std::size_t first, const std::set<std::string>& chains) {
  return RuleParser(words, first, chains).parse();
}

}  // namespace sluice

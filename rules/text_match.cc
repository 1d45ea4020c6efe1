// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/text_match.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "rules/text_part.h"

namespace sluice {
namespace {

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

template <class Ports>
bool parse_port_option(Ports& match, const std::string& name, const std::string& value,
                       bool negated) {
  const PortMatch ports{.ports = parse_port_words(value), .negated = negated};
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

// The parts of a list that is split at commas; an empty text is one empty part.
std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t comma = text.find(','); comma != std::string_view::npos;
       comma = text.find(',')) {
    parts.push_back(text.substr(0, comma));
    text.remove_prefix(comma + 1);
  }
  parts.push_back(text);
  return parts;
}

// The value of the only option, if it is `[!] name value`.
std::optional<std::string> only_value(Options& options, std::string_view name, bool& negated) {
  if (options.done()) return std::nullopt;
  negated = options.take_negation();
  if (options.left() != 2 || options.take() != name) return std::nullopt;
  return options.take();
}

std::optional<Match> parse_multiport(Options options) {
  Multiport match;
  const auto list = only_value(options, "--dports", match.negated);
  if (!list) return std::nullopt;
  std::size_t slots = 0;
  for (const std::string_view part : split_list(*list)) {
    const PortRange ports = parse_port_words(part);
    if (ports.first > ports.last) return std::nullopt;
    slots += ports.first == ports.last ? 1 : 2;
    match.destinations.push_back(ports);
  }
  if (slots > Multiport::slots) return std::nullopt;
  return match;
}

template <class MarkMatch>
std::optional<Match> parse_mark_match(Options options) {
  MarkMatch match;
  const auto text = only_value(options, "--mark", match.negated);
  if (!text) return std::nullopt;
  const Masked mark = parse_masked(*text);
  match.value = mark.value;
  match.mask = mark.mask;
  return match;
}

// At least one state.
std::optional<std::uint16_t> parse_states(std::string_view list) {
  unsigned states = 0;
  for (const std::string_view part : split_list(list)) {
    const auto* const state = std::find_if(conntrack_states.begin(), conntrack_states.end(),
                                           [&](const auto& known) { return known.second == part; });
    if (state == conntrack_states.end()) return std::nullopt;
    states |= state->first;
  }
  return static_cast<std::uint16_t>(states);
}

std::optional<Match> parse_conntrack(Options options) {
  Conntrack match;
  while (!options.done()) {
    const bool negated = options.take_negation();
    const std::string& name = options.take();
    if (options.left() == 0) return std::nullopt;
    const std::string& value = options.take();
    if (name == "--ctstate" && match.states == 0) {
      const std::optional<std::uint16_t> states = parse_states(value);
      if (!states) return std::nullopt;
      match.states = *states;
      match.negated = negated;
    } else if (name == "--ctdir" && !negated && !match.direction &&
               (value == "ORIGINAL" || value == "REPLY")) {
      match.direction =
          value == "REPLY" ? Conntrack::Direction::reply : Conntrack::Direction::original;
    } else {
      return std::nullopt;
    }
  }
  if (match.states == 0 && !match.direction) return std::nullopt;
  return match;
}

// "10/sec", or "inf" for no limit; the period is libxt_limit's, rounded as it does.
std::optional<std::uint32_t> parse_rate(std::string_view text) {
  if (text == "inf") return 0;
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view unit = text.substr(slash + 1);
  const auto* const known = std::find_if(limit_units.begin(), limit_units.end(),
                                         [&](const auto& u) { return u.second == unit; });
  if (known == limit_units.end()) return std::nullopt;
  const std::uint64_t rate = parse_decimal(text.substr(0, slash), 0xffffffff, "rate");
  if (rate == 0 || rate > known->first) return std::nullopt;
  return static_cast<std::uint32_t>(known->first / rate);
}

std::optional<Match> parse_limit(Options options) {
  Limit match;
  bool has_rate = false;
  while (!options.done()) {
    const std::string& name = options.take();
    if (options.left() == 0) return std::nullopt;
    if (name == "--limit") {
      const auto period = parse_rate(options.take());
      if (!period) return std::nullopt;
      match.period = *period;
      has_rate = true;
    } else if (name == "--limit-burst") {
      match.burst = static_cast<std::uint32_t>(parse_decimal(options.take(), 0xffffffff, "burst"));
    } else {
      return std::nullopt;
    }
  }
  if (!has_rate) return std::nullopt;
  return match;
}

std::optional<Match> parse_known(const std::string& name, Options options) {
  if (name == "tcp") return parse_tcp(options);
  if (name == "udp") return parse_udp(options);
  if (name == "owner") return parse_owner_match(options);
  if (name == "multiport") return parse_multiport(options);
  if (name == "mark") return parse_mark_match<Mark>(options);
  if (name == "connmark") return parse_mark_match<Connmark>(options);
  if (name == "conntrack") return parse_conntrack(options);
  if (name == "limit") return parse_limit(options);
  return std::nullopt;
}

}  // namespace

Match parse_match(const std::string& name, const Words& options) {
  if (std::optional<Match> match = parse_known(name, Options(options))) return *match;
  const std::string text = join(options);
  return Opaque{"-m " + name + (text.empty() ? "" : " ") + text};
}

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/parse.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

#include "rules/error.h"

namespace sluice {
namespace {

constexpr std::uint64_t highest_id = 0xfffffffe;
constexpr std::size_t interface_name_limit = 15;  // IFNAMSIZ - 1, linux/if.h

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// Calls `parse` for each element and returns the distinct results in order.
template <class Parse>
auto parse_list(std::string_view text, Parse parse) {
  using Element = decltype(parse(text));
  if (text.size() > value_size_limit) {
    throw Error("the value is longer than " + std::to_string(value_size_limit) + " bytes");
  }
  std::vector<Element> list;
  std::set<Element> seen;
  if (trimmed(text).empty()) return list;
  std::size_t count = 0;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view element = trimmed(text.substr(begin, end - begin));
    begin = end + 1;
    if (++count > list_length_limit) {
      throw Error("the list has more than " + std::to_string(list_length_limit) + " elements");
    }
    if (element.empty()) throw Error("the list " + quote(text) + " has an empty element");
    Element parsed = parse(element);
    if (seen.insert(parsed).second) list.push_back(std::move(parsed));
  }
  return list;
}

bool is_wildcard(std::string_view text) {
  return trimmed(text) == "*";
}

void refuse_wildcard(std::string_view element) {
  if (element == "*") throw Error("\"*\" has no meaning here");
}

PortRange parse_port_element(std::string_view element) {
  refuse_wildcard(element);
  return parse_port_range(element);
}

Cidr parse_cidr_element(std::string_view element) {
  refuse_wildcard(element);
  return parse_cidr(element);
}

std::string parse_interface(std::string_view element) {
  if (element.size() > interface_name_limit) {
    throw Error("interface " + quote(element) + " is longer than 15 bytes");
  }
  const bool allowed = std::all_of(element.begin(), element.end(), [](char c) {
    return is_alphanumeric(c) || c == '_' || c == '.' || c == '-';
  });
  if (!allowed || !is_alphanumeric(element[0])) {
    throw Error("interface " + quote(element) + " has characters that are not allowed");
  }
  return std::string(element);
}

// The value of the entry whose name is `text`; throws Error with `sentence` if there is none.
template <class Value, std::size_t n>
Value find_name(const std::array<std::pair<std::string_view, Value>, n>& names,
                std::string_view text, const char* expected) {
  for (const auto& [name, value] : names) {
    if (name == text) return value;
  }
  throw Error(quote(text) + " is not " + expected);
}

}  // namespace

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::vector<PortRange> parse_ports(std::string_view text) {
  return parse_list(text, parse_port_element);
}

Selection<PortRange> parse_port_selection(std::string_view text) {
  if (is_wildcard(text)) return {};
  return {.all = false, .list = parse_ports(text)};
}

std::vector<Cidr> parse_cidrs(std::string_view text) {
  return parse_list(text, parse_cidr_element);
}

Selection<Cidr> parse_cidr_selection(std::string_view text) {
  if (is_wildcard(text)) return {};
  return {.all = false, .list = parse_cidrs(text)};
}

std::vector<std::string> parse_interfaces(std::string_view text) {
  return parse_list(text, parse_interface);
}

std::vector<std::uint32_t> parse_ids(std::string_view text, std::string_view what) {
  const auto parse = [&](std::string_view element) {
    return static_cast<std::uint32_t>(parse_decimal(element, highest_id, what));
  };
  std::vector<std::uint32_t> ids = parse_list(text, parse);
  if (ids.empty()) throw Error("no " + std::string(what) + " is given");
  return ids;
}

bool parse_bool(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, bool>, 12> names{{{"1", true},
                                                                     {"t", true},
                                                                     {"T", true},
                                                                     {"TRUE", true},
                                                                     {"true", true},
                                                                     {"True", true},
                                                                     {"0", false},
                                                                     {"f", false},
                                                                     {"F", false},
                                                                     {"FALSE", false},
                                                                     {"false", false},
                                                                     {"False", false}}};
  return find_name(names, text, "true or false");
}

Ipv6Policy parse_ipv6_policy(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, Ipv6Policy>, 4> names{
      {{"auto", Ipv6Policy::automatic},
       {"always", Ipv6Policy::always},
       {"never", Ipv6Policy::never},
       {"block", Ipv6Policy::block}}};
  return find_name(names, text, "auto, always, never or block");
}

const Layout& parse_layout(std::string_view text) {
  if (const Layout* layout = find_layout(text)) return *layout;
  std::string known;
  for (const std::string& name : layout_names()) known += (known.empty() ? "" : " or ") + name;
  throw Error(quote(text) + " is not " + known);
}

InterceptionMode parse_interception_mode(std::string_view text) {
  if (text == "TPROXY") throw Error("interception mode TPROXY is not supported by this version");
  constexpr std::array<std::pair<std::string_view, InterceptionMode>, 2> names{
      {{"REDIRECT", InterceptionMode::redirect}, {"NONE", InterceptionMode::none}}};
  return find_name(names, text, "REDIRECT, TPROXY or NONE");
}

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/parse.h"

#include <algorithm>
#include <array>
#include <utility>

#include "rules/parse_list.h"

namespace sluice {
namespace {

bool is_wildcard(std::string_view text) {
  return trimmed(text) == "*";
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

std::uint32_t parse_group(std::string_view element) {
  refuse_wildcard(element);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!std::all_of(element.begin(), element.end(), is_digit)) {
    throw Error("group " + quote(element) + " is not a GID: names are not looked up");
  }
  return static_cast<std::uint32_t>(parse_decimal(element, highest_id, "GID"));
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

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

void refuse_wildcard(std::string_view element) {
  if (element == "*") throw Error("\"*\" has no meaning here");
}

void refuse_oversize(std::string_view text) {
  if (text.size() > value_size_limit) {
    throw Error("the value is longer than " + std::to_string(value_size_limit) + " bytes");
  }
}

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
  if (ids.size() > owner_id_limit) {
    throw Error("the list has more than " + std::to_string(owner_id_limit) + " " +
                std::string(what) + "s");
  }
  return ids;
}

std::vector<std::uint32_t> parse_owner_groups(std::string_view text) {
  return parse_list(text, parse_group);
}

Selection<std::uint32_t> parse_owner_group_selection(std::string_view text) {
  if (is_wildcard(text)) return {};
  Selection<std::uint32_t> groups{.all = false, .list = parse_owner_groups(text)};
  if (groups.list.size() > owner_group_limit) {
    throw Error("the list has more than " + std::to_string(owner_group_limit) + " groups");
  }
  return groups;
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

DnsCapture parse_dns_capture(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, DnsCapture>, 3> names{
      {{"all", DnsCapture::all}, {"resolvers", DnsCapture::resolvers}, {"off", DnsCapture::off}}};
  return find_name(names, text, "all, resolvers or off");
}

const Layout& parse_layout(std::string_view text) {
  if (const Layout* layout = find_layout(text)) return *layout;
  throw Error(quote(text) + " is not " + layout_choices());
}

std::string layout_choices() {
  const std::vector<std::string>& names = layout_names();
  std::string choices = names.front();
  for (std::size_t i = 1; i < names.size(); ++i) {
    choices += (i + 1 == names.size() ? " or " : ", ") + names[i];
  }
  return choices;
}

InterceptionMode parse_interception_mode(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, InterceptionMode>, 3> names{
      {{"REDIRECT", InterceptionMode::redirect},
       {"TPROXY", InterceptionMode::tproxy},
       {"NONE", InterceptionMode::none}}};
  return find_name(names, text, "REDIRECT, TPROXY or NONE");
}

}  // namespace sluice

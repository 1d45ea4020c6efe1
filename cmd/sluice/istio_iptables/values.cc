// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice/istio_iptables/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

#include "rules/error.h"
#include "rules/parse.h"
#include "rules/parse_list.h"

namespace sluice::cmd::istio_iptables {
namespace {

// parse_list, but as Istio has it.
template <class Parse>
auto keep_all(std::string_view text, Parse parse) {
  refuse_oversize(text);
  std::vector<decltype(parse(text))> list;
  for_each_element(text, ',', [&](std::string_view element) {
    if (element.empty()) return;
    refuse_wildcard(element);
    if (list.size() == list_length_limit) {
      throw Error("the list has more than " + std::to_string(list_length_limit) + " elements");
    }
    list.push_back(parse(element));
  });
  return list;
}

template <class T, class Parse>
Selection<T> parse_selection(std::string_view text, Parse parse) {
  if (trimmed(text) == "*") return {};
  return {.all = false, .list = parse(text)};
}

PortRange parse_ports_element(std::string_view element) {
  const std::size_t colon = element.find(':');
  if (colon == std::string_view::npos) return parse_port_range(element);
  std::string range(element);
  range[colon] = '-';
  try {
    return parse_port_range(range);
  } catch (const Error&) {
    throw Error(quote(element) + " is not a range of ports");
  }
}

std::string parse_interface(std::string_view element) {
  if (element.back() != '+') return parse_interfaces(element).front();
  if (element.size() > interface_name_limit || element.size() == 1) {
    throw Error(quote(element) + " is not an interface name");
  }
  element.remove_suffix(1);
  return parse_interfaces(element).front() + "+";
}

// How many milliseconds a unit of Go's durations has; 0 for what is none.
double unit_in_ms(std::string_view unit) {
  constexpr std::array<std::pair<std::string_view, double>, 8> units{{{"ns", 1e-6},
                                                                      {"us", 1e-3},
                                                                      {"\u00b5s", 1e-3},
                                                                      {"\u03bcs", 1e-3},
                                                                      {"ms", 1.0},
                                                                      {"s", 1e3},
                                                                      {"m", 60e3},
                                                                      {"h", 3600e3}}};
  const auto* const found = std::find_if(units.begin(), units.end(),
                                         [&](const auto& entry) { return entry.first == unit; });
  return found == units.end() ? 0 : found->second;
}

bool starts_number(char c) {
  return (c >= '0' && c <= '9') || c == '.';
}

}  // namespace

std::vector<PortRange> list_ports(std::string_view text) {
  return keep_all(text, parse_ports_element);
}

Selection<PortRange> select_ports(std::string_view text) {
  return parse_selection<PortRange>(text, list_ports);
}

std::vector<Cidr> list_cidrs(std::string_view text) {
  return keep_all(text, parse_cidr);
}

Selection<Cidr> select_cidrs(std::string_view text) {
  return parse_selection<Cidr>(text, list_cidrs);
}

std::vector<std::uint32_t> list_ids(std::string_view text, std::string_view what) {
  return keep_all(text, [&](std::string_view element) {
    return static_cast<std::uint32_t>(parse_decimal(element, highest_id, what));
  });
}

Selection<std::uint32_t> select_ids(std::string_view text, std::string_view what) {
  return parse_selection<std::uint32_t>(
      text, [&](std::string_view list) { return list_ids(list, what); });
}

std::vector<std::string> list_interfaces(std::string_view text) {
  return keep_all(text, parse_interface);
}

InterceptionMode parse_mode(std::string_view text) {
  return text.empty() ? InterceptionMode::redirect : parse_interception_mode(text);
}

std::chrono::milliseconds parse_duration(std::string_view text) {
  constexpr double longest_ms = 24 * 3600e3;
  double total_ms = 0;
  std::string_view rest = text;
  do {
    double number = 0;
    if (rest.empty() || !starts_number(rest.front())) break;
    const auto [end, failure] =
        std::from_chars(rest.begin(), rest.end(), number, std::chars_format::fixed);
    if (failure != std::errc()) break;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.begin()));
    const std::string_view unit =
        rest.substr(0, static_cast<std::size_t>(
                           std::find_if(rest.begin(), rest.end(), starts_number) - rest.begin()));
    const double factor = unit_in_ms(unit);
    if (factor == 0) break;
    total_ms += number * factor;
    rest.remove_prefix(unit.size());
    if (rest.empty() && total_ms >= 1 && total_ms <= longest_ms) {
      return std::chrono::milliseconds(static_cast<std::int64_t>(total_ms));
    }
  } while (!rest.empty());
  throw Error(quote(text) + " is not a duration from 1ms to 24h such as 5s or 500ms");
}

}  // namespace sluice::cmd::istio_iptables

// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <tuple>

#include "rules/parse_list.h"

namespace sluice {
namespace {

// Not its own list: "1000-2000,1500" is most likely a slip.
template <class Range>
void refuse_overlap(std::vector<Range> ranges, const char* what) {
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first <= ranges[i - 1].last) {
      throw Error(std::string("two of its ") + what + " overlap at " +
                  std::to_string(ranges[i].first));
    }
  }
}

UidExclusion::Uids parse_uids(std::string_view element) {
  refuse_wildcard(element);
  const std::size_t dash = element.find('-');
  const auto id = [](std::string_view text) {
    return static_cast<std::uint32_t>(parse_decimal(text, highest_id, "UID"));
  };
  if (dash == std::string_view::npos) return {.first = id(element), .last = id(element)};
  const UidExclusion::Uids uids{.first = id(element.substr(0, dash)),
                                .last = id(element.substr(dash + 1))};
  if (uids.first > uids.last) throw Error("UID range " + quote(element) + " is reversed");
  return uids;
}

std::optional<Protocol> parse_protocol(std::string_view text) {
  if (text.empty()) return std::nullopt;
  if (text == "tcp") return Protocol::tcp;
  if (text == "udp") return Protocol::udp;
  throw Error("protocol " + quote(text) + " is not tcp, udp or empty");
}

// PROTOCOL, PORTS and UIDS.
std::array<std::string_view, 3> split(std::string_view entry) {
  const std::size_t first = entry.find(':');
  const std::size_t last = entry.rfind(':');
  if (std::count(entry.begin(), entry.end(), ':') != 2) {
    throw Error("it is not of the form PROTOCOL:PORTS:UIDS");
  }
  return {trimmed(entry.substr(0, first)), trimmed(entry.substr(first + 1, last - first - 1)),
          trimmed(entry.substr(last + 1))};
}

UidExclusion parse_entry(std::string_view entry) {
  const auto [protocol, ports, uids] = split(entry);
  UidExclusion exclusion{.protocol = parse_protocol(protocol),
                         .ports = parse_ports(ports),
                         .uids = parse_list(uids, parse_uids)};
  if (exclusion.uids.empty()) throw Error("no UID is given");
  if (!exclusion.protocol && !exclusion.ports.empty()) {
    throw Error("ports " + quote(ports) + " need a protocol, tcp or udp");
  }
  refuse_overlap(exclusion.ports, "ports");
  refuse_overlap(exclusion.uids, "UIDs");
  return exclusion;
}

// Ordered, so that those that stand twice count once.
struct Entry {
  UidExclusion exclusion;

  bool operator<(const Entry& other) const {
    const UidExclusion& a = exclusion;
    const UidExclusion& b = other.exclusion;
    return std::tie(a.protocol, a.ports, a.uids) < std::tie(b.protocol, b.ports, b.uids);
  }
};

}  // namespace

std::vector<UidExclusion> parse_uid_exclusions(std::string_view text) {
  std::size_t pairs = 0;
  const auto parse = [&](std::string_view entry) -> Entry {
    try {
      UidExclusion exclusion = parse_entry(entry);
      pairs += std::max<std::size_t>(exclusion.ports.size(), 1) * exclusion.uids.size();
      if (pairs > list_length_limit) {
        throw Error("there are more than " + std::to_string(list_length_limit) +
                    " pairs of ports and UIDs");
      }
      return {std::move(exclusion)};
    } catch (const Error& error) {
      throw Error("exclusion " + quote(entry) + ": " + error.what());
    }
  };
  std::vector<UidExclusion> exclusions;
  for (Entry& entry : parse_list(text, parse, ';')) {
    exclusions.push_back(std::move(entry.exclusion));
  }
  return exclusions;
}

}  // namespace sluice

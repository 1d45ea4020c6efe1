// SPDX-License-Identifier: GPL-2.0-or-later
// One rule's own part of canonical form.
#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "rules/canonical.h"
#include "rules/runs.h"

namespace sluice {
namespace {

using Matches = std::vector<Match>;

// It matches every packet, and the kernel has no other form than none.
void drop_if_all(std::optional<AddressMatch>& match) {
  if (match && !match->negated && match->cidr.length == 0) match.reset();
}

// What stands behind a match that counts is counted only if the packet got there.
Matches::iterator movable_end(Matches& matches) {
  return std::find_if(matches.begin(), matches.end(), [](const Match& match) {
    return std::holds_alternative<Limit>(match) || std::holds_alternative<Opaque>(match);
  });
}

std::optional<PortMatch>* header_ports(Match& match) {
  if (Tcp* tcp = std::get_if<Tcp>(&match)) return &tcp->destination;
  if (Udp* udp = std::get_if<Udp>(&match)) return &udp->destination;
  return nullptr;
}

bool is_header(const Match& match) {
  return std::holds_alternative<Tcp>(match) || std::holds_alternative<Udp>(match);
}

const Multiport* exclusion(const Match& match) {
  const Multiport* multiport = std::get_if<Multiport>(&match);
  return multiport != nullptr && multiport->negated ? multiport : nullptr;
}

// The ports that the matches exclude; nothing if they do so in one place at most, or if they are
// not of a form that can be put together.
std::vector<PortRange> scattered_exclusions(Matches& matches) {
  std::vector<PortRange> ports;
  std::size_t places = 0;
  std::size_t headers = 0;
  for (Match& match : matches) {
    if (std::optional<PortMatch>* header = header_ports(match)) {
      ++headers;
      if (*header && (*header)->negated) {
        ports.push_back((*header)->ports);
        ++places;
      }
    } else if (const Multiport* multiport = exclusion(match)) {
      ports.insert(ports.end(), multiport->destinations.begin(), multiport->destinations.end());
      ++places;
    }
  }
  const bool usable = headers < 2 && std::none_of(ports.begin(), ports.end(), [](PortRange range) {
                        return range.first > range.last;
                      });
  const bool one_header =
      places == 1 && std::none_of(matches.begin(), matches.end(),
                                  [](const Match& match) { return exclusion(match) != nullptr; });
  return usable && !one_header ? ports : std::vector<PortRange>();
}

void erase_exclusions(Matches& matches) {
  for (Match& match : matches) {
    std::optional<PortMatch>* header = header_ports(match);
    if (header != nullptr && *header && (*header)->negated) header->reset();
  }
  std::erase_if(matches, [](const Match& match) {
    return exclusion(match) != nullptr || match == Match(Tcp{}) || match == Match(Udp{});
  });
}

// Excludes the ports: in the header's match where it can hold them, else in a list.
void add_exclusions(Matches& matches, Protocol protocol, std::vector<PortRange> ports) {
  const auto header = std::find_if(matches.begin(), matches.end(), is_header);
  std::optional<PortMatch>* place = header == matches.end() ? nullptr : header_ports(*header);
  if (ports.size() > 1 || (place != nullptr && place->has_value())) {
    matches.emplace_back(Multiport{.destinations = std::move(ports), .negated = true});
    return;
  }
  const PortMatch match{.ports = ports.front(), .negated = true};
  if (place != nullptr) {
    *place = match;
  } else if (protocol == Protocol::tcp) {
    matches.emplace_back(Tcp{.destination = match});
  } else {
    matches.emplace_back(Udp{.destination = match});
  }
}

}  // namespace

Rule in_order(Rule rule) {
  drop_if_all(rule.source);
  drop_if_all(rule.destination);
  const auto end = movable_end(rule.matches);
  Matches fixed(std::make_move_iterator(end), std::make_move_iterator(rule.matches.end()));
  rule.matches.erase(end, rule.matches.end());
  if (rule.protocol == Protocol::tcp || rule.protocol == Protocol::udp) {
    std::vector<PortRange> ports = merged(scattered_exclusions(rule.matches));
    if (!ports.empty()) {
      erase_exclusions(rule.matches);
      add_exclusions(rule.matches, *rule.protocol, std::move(ports));
    }
  }
  std::stable_sort(rule.matches.begin(), rule.matches.end(),
                   [](const Match& a, const Match& b) { return a.index() < b.index(); });
  rule.matches.insert(rule.matches.end(), std::make_move_iterator(fixed.begin()),
                      std::make_move_iterator(fixed.end()));
  return rule;
}

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/runs.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <variant>

#include "rules/canonical.h"

namespace sluice {
namespace {

template <class Part>
bool is(const Match& match) {
  return std::holds_alternative<Part>(match);
}

// Whether the packet meets the same rule twice without harm: nothing is counted, and what the
// target does is done once or no different the second time.
bool may_be_in_a_run(const Rule& rule) {
  const bool target =
      std::visit(Overloaded{[](const Accept&) { return true; }, [](const Drop&) { return true; },
                            [](const Return&) { return true; }, [](const Jump&) { return true; },
                            [](const Redirect&) { return true; },
                            [](const CtZone&) { return true; }, [](const auto&) { return false; }},
                 rule.target);
  return target && std::none_of(rule.matches.begin(), rule.matches.end(), [](const Match& match) {
           return is<Limit>(match) || is<Opaque>(match);
         });
}

bool is_positive(const std::optional<AddressMatch>& match) {
  return match && !match->negated;
}

// The destination of a Tcp or Udp, nullptr for other matches.
std::optional<PortMatch>* destination_of(Match& match) {
  if (Tcp* tcp = std::get_if<Tcp>(&match)) return &tcp->destination;
  if (Udp* udp = std::get_if<Udp>(&match)) return &udp->destination;
  return nullptr;
}

bool says_nothing(const Match& match) {
  return match == Match(Tcp{}) || match == Match(Udp{});
}

bool are_ranges(const std::vector<PortRange>& ports) {
  return !ports.empty() && std::all_of(ports.begin(), ports.end(),
                                       [](PortRange range) { return range.first <= range.last; });
}

// The places in a rule that speak of destination ports.
struct PortPlaces {
  Match* header = nullptr;  // Tcp or Udp
  Match* list = nullptr;    // a positive Multiport
  bool clear = true;        // at most one of each, and no protocol but the header's
};

PortPlaces places_of(Rule& rule) {
  PortPlaces places;
  for (Match& match : rule.matches) {
    if (is<Tcp>(match) || is<Udp>(match)) {
      const Protocol protocol = is<Tcp>(match) ? Protocol::tcp : Protocol::udp;
      places.clear = places.clear && places.header == nullptr && rule.protocol == protocol;
      places.header = &match;
    }
    const Multiport* multiport = std::get_if<Multiport>(&match);
    if (multiport == nullptr || multiport->negated) continue;
    places.clear = places.clear && places.list == nullptr;
    places.list = &match;
  }
  return places;
}

// Takes the ports out of the rule; nothing if they are not the part that may vary.
std::vector<PortRange> take_ports(Rule& rule) {
  if (rule.protocol != Protocol::tcp && rule.protocol != Protocol::udp) return {};
  const PortPlaces places = places_of(rule);
  std::optional<PortMatch>* in_header =
      places.header == nullptr ? nullptr : destination_of(*places.header);
  const bool has_header_ports = in_header != nullptr && in_header->has_value();
  if (!places.clear || has_header_ports == (places.list != nullptr)) return {};
  std::vector<PortRange> ports;
  const Match* emptied = nullptr;
  if (has_header_ports) {
    ports = {(*in_header)->ports};
    if ((*in_header)->negated || !are_ranges(ports)) return {};
    in_header->reset();
    if (says_nothing(*places.header)) emptied = places.header;
  } else {
    ports = std::get<Multiport>(*places.list).destinations;
    if (!are_ranges(ports)) return {};
    emptied = places.list;
  }
  if (emptied != nullptr)
    rule.matches.erase(rule.matches.begin() + (emptied - rule.matches.data()));
  return ports;
}

// A rule as a run of its own, not merged yet.
Run single_run(Rule rule) {
  rule = in_order(std::move(rule));
  Run run;
  if (may_be_in_a_run(rule)) {
    if (is_positive(rule.destination)) {
      run.varying = Varying::destination;
      run.cidrs = {{.cidr = rule.destination->cidr, .origin = rule.origin}};
      rule.destination.reset();
    } else if (is_positive(rule.source)) {
      run.varying = Varying::source;
      run.cidrs = {{.cidr = rule.source->cidr, .origin = rule.origin}};
      rule.source.reset();
    } else if (const std::vector<PortRange> ports = take_ports(rule); !ports.empty()) {
      run.varying = Varying::port;
      for (const PortRange range : ports) {
        run.ports.push_back({.ports = range, .protocol = *rule.protocol, .origin = rule.origin});
      }
      const bool header = std::any_of(rule.matches.begin(), rule.matches.end(),
                                      [](const Match& m) { return is<Tcp>(m) || is<Udp>(m); });
      if (!header) rule.protocol.reset();
    }
  }
  run.rest = std::move(rule);
  return run;
}

// Of the first of `sorted` that begins where `part` begins, which is merged from it.
template <class Element, class Begin>
Origin origin_at(const std::vector<Element>& sorted, const Begin& begin,
                 Begin (*begin_of)(const Element&)) {
  const auto found = std::lower_bound(
      sorted.begin(), sorted.end(), begin,
      [&](const Element& element, const Begin& value) { return begin_of(element) < value; });
  return found == sorted.end() ? Origin{} : found->origin;
}

void merge_cidrs(std::vector<VaryingCidr>& members) {
  if (members.size() < 2) return;
  std::stable_sort(members.begin(), members.end(),
                   [](const auto& a, const auto& b) { return a.cidr < b.cidr; });
  std::vector<Cidr> cidrs;
  cidrs.reserve(members.size());
  for (const VaryingCidr& member : members) cidrs.push_back(member.cidr);
  std::vector<VaryingCidr> result;
  for (const Cidr& cidr : without_all(merged(std::move(cidrs)))) {
    const Origin origin = origin_at<VaryingCidr, IpAddress>(
        members, cidr.address, [](const VaryingCidr& member) { return member.cidr.address; });
    result.push_back({.cidr = cidr, .origin = origin});
  }
  members = std::move(result);
}

void merge_ports(std::vector<VaryingPorts>& members) {
  if (members.size() < 2) return;
  std::vector<VaryingPorts> result;
  for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
    std::vector<VaryingPorts> part;
    std::copy_if(members.begin(), members.end(), std::back_inserter(part),
                 [&](const VaryingPorts& member) { return member.protocol == protocol; });
    std::stable_sort(part.begin(), part.end(),
                     [](const auto& a, const auto& b) { return a.ports < b.ports; });
    std::vector<PortRange> ports;
    ports.reserve(part.size());
    for (const VaryingPorts& member : part) ports.push_back(member.ports);
    for (const PortRange range : without_all(merged(std::move(ports)))) {
      const Origin origin = origin_at<VaryingPorts, std::uint16_t>(
          part, range.first, [](const VaryingPorts& member) { return member.ports.first; });
      result.push_back({.ports = range, .protocol = protocol, .origin = origin});
    }
  }
  std::stable_sort(result.begin(), result.end(),
                   [](const auto& a, const auto& b) { return a.ports < b.ports; });
  members = std::move(result);
}

}  // namespace

std::vector<Cidr> without_all(std::vector<Cidr> cidrs) {
  if (cidrs.size() != 1 || cidrs.front().length != 0) return cidrs;
  Cidr low{.address = cidrs.front().address, .length = 1};
  Cidr high = low;
  high.address.bytes[0] = 0x80;
  return {low, high};
}

std::vector<PortRange> without_all(std::vector<PortRange> ports) {
  constexpr PortRange all{.first = 0, .last = 65535};
  if (ports.size() != 1 || ports.front() != all) return ports;
  return {{.first = 0, .last = 32767}, {.first = 32768, .last = 65535}};
}

std::vector<Run> runs_of(std::vector<Rule> rules) {
  std::vector<Run> runs;
  for (Rule& rule : rules) {
    Run next = single_run(std::move(rule));
    const bool same = !runs.empty() && next.varying != Varying::nothing &&
                      runs.back().varying == next.varying && runs.back().rest == next.rest;
    if (!same) {
      runs.push_back(std::move(next));
      continue;
    }
    Run& run = runs.back();
    run.cidrs.insert(run.cidrs.end(), next.cidrs.begin(), next.cidrs.end());
    run.ports.insert(run.ports.end(), next.ports.begin(), next.ports.end());
  }
  for (Run& run : runs) {
    merge_cidrs(run.cidrs);
    merge_ports(run.ports);
  }
  return runs;
}

Rule with_protocol(Rule rest, Protocol protocol) {
  rest.protocol = protocol;
  return rest;
}

Rule with_ports(Rule rest, Protocol protocol, PortRange ports) {
  rest.protocol = protocol;
  const PortMatch match{.ports = ports};
  for (Match& known : rest.matches) {
    if (std::optional<PortMatch>* destination = destination_of(known)) {
      *destination = match;
      return rest;
    }
  }
  Match header = protocol == Protocol::udp ? Match(Udp{.destination = match})
                                           : Match(Tcp{.destination = match});
  rest.matches.insert(rest.matches.begin(), std::move(header));
  return rest;
}

std::vector<Rule> rules_of(const Run& run) {
  if (run.varying == Varying::nothing) return {run.rest};
  std::vector<Rule> rules;
  rules.reserve(run.cidrs.size() + run.ports.size());
  for (const VaryingCidr& member : run.cidrs) {
    Rule& rule = rules.emplace_back(run.rest);
    rule.origin = member.origin;
    const AddressMatch match{.cidr = member.cidr};
    (run.varying == Varying::source ? rule.source : rule.destination) = match;
  }
  for (const VaryingPorts& member : run.ports) {
    Rule& rule = rules.emplace_back(with_ports(run.rest, member.protocol, member.ports));
    rule.origin = member.origin;
  }
  return rules;
}

}  // namespace sluice

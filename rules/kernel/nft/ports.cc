// SPDX-License-Identifier: GPL-2.0-or-later
// `tcp sport`, `udp dport`: the first two fields of both headers. A multiport match that is negated
// is one relation for each of its ranges; one that is not would be a set.
#include <linux/netfilter/nf_tables.h>

#include "rules/error.h"
#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {
namespace {

HeaderField port_field(Side side) {
  return {.base = NFT_PAYLOAD_TRANSPORT_HEADER,
          .offset = side == Side::source ? 0U : 2U,
          .length = sizeof(std::uint16_t)};
}

void encode_ports(Expressions& expressions, const PortMatch& match, Side side) {
  Comparison comparison{.field = port_field(side),
                        .first = network_order(match.ports.first, sizeof(std::uint16_t)),
                        .negated = match.negated};
  if (match.ports.last != match.ports.first) {
    comparison.last = network_order(match.ports.last, sizeof(std::uint16_t));
  }
  append(expressions, comparison);
}

std::optional<PortMatch> read_ports(const Comparison& comparison) {
  const Bytes& last = comparison.last ? *comparison.last : comparison.first;
  if (comparison.first.size() != sizeof(std::uint16_t) || last.size() != sizeof(std::uint16_t)) {
    return std::nullopt;
  }
  return PortMatch{
      .ports = {.first = static_cast<std::uint16_t>(from_network_order(comparison.first)),
                .last = static_cast<std::uint16_t>(from_network_order(last))},
      .negated = comparison.negated};
}

std::size_t slots(const Multiport& match) {
  std::size_t used = 0;
  for (const PortRange& ports : match.destinations) used += ports.first == ports.last ? 1 : 2;
  return used;
}

bool says_nothing_else(const Tcp& tcp) {
  return !tcp.source && !tcp.flags;
}
bool says_nothing_else(const Udp& udp) {
  return !udp.source;
}
bool has_flags(const Tcp& tcp) {
  return tcp.flags.has_value();
}
bool has_flags(const Udp& /*udp*/) {
  return false;
}

// Extension is Tcp or Udp.
template <class Extension>
void add_destination(model::Rule& rule, const PortMatch& match) {
  auto* last = last_match<Extension>(rule);
  if (last != nullptr && !last->destination && !has_flags(*last)) {
    last->destination = match;
    return;
  }
  const std::size_t needed = match.ports.first == match.ports.last ? 1 : 2;
  auto* list = last_match<Multiport>(rule);
  if (list != nullptr && match.negated && slots(*list) + needed <= Multiport::slots) {
    list->destinations.push_back(match.ports);
    return;
  }
  if (last != nullptr && match.negated && says_nothing_else(*last) && last->destination->negated) {
    rule.rule.matches.back() =
        Multiport{.destinations = {last->destination->ports, match.ports}, .negated = true};
    return;
  }
  rule.rule.matches.emplace_back(Extension{.destination = match});
}

template <class Extension>
bool add_ports(model::Rule& rule, const PortMatch& match, Side side) {
  if (side == Side::source) {
    rule.rule.matches.emplace_back(Extension{.source = match});
  } else {
    add_destination<Extension>(rule, match);
  }
  return true;
}

bool decode_ports_of(const Comparison& comparison, model::Rule& rule, Side side) {
  if (comparison.field != Field(port_field(side)) || !comparison.mask.empty()) return false;
  if (!comparison.set.empty()) {
    if (side == Side::source || !rule.port_set.empty()) return false;
    rule.port_set = comparison.set;
    return true;
  }
  const std::optional<PortMatch> match = read_ports(comparison);
  if (!match) return false;
  if (rule.rule.protocol == Protocol::tcp) return add_ports<Tcp>(rule, *match, side);
  return add_ports<Udp>(rule, *match, side);
}

}  // namespace

void encode_port_set(Expressions& expressions, const std::string& set) {
  append(expressions, {.field = port_field(Side::destination), .set = set});
}

void encode(Expressions& expressions, const Tcp& tcp) {
  if (tcp.source) encode_ports(expressions, *tcp.source, Side::source);
  if (tcp.destination) encode_ports(expressions, *tcp.destination, Side::destination);
  if (tcp.flags) encode_flags(expressions, *tcp.flags);
}

void encode(Expressions& expressions, const Udp& udp) {
  if (udp.source) encode_ports(expressions, *udp.source, Side::source);
  if (udp.destination) encode_ports(expressions, *udp.destination, Side::destination);
}

void encode(Expressions& expressions, const Multiport& match) {
  if (match.destinations.empty() || (!match.negated && match.destinations.size() != 1)) {
    throw Error("a list of " + std::to_string(match.destinations.size()) +
                " ports is no match of nf_tables without a set");
  }
  for (const PortRange& ports : match.destinations) {
    encode_ports(expressions, {.ports = ports, .negated = match.negated}, Side::destination);
  }
}

bool decode_ports(const Comparison& comparison, model::Rule& rule) {
  if (rule.rule.protocol != Protocol::tcp && rule.rule.protocol != Protocol::udp) return false;
  return decode_ports_of(comparison, rule, Side::source) ||
         decode_ports_of(comparison, rule, Side::destination);
}

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/random_rule.h"

#include <array>
#include <optional>
#include <string>
#include <utility>

namespace sluice::kernel {
namespace {

constexpr std::uint32_t highest_id = 4294967294U;  // the one above means "no ID" to the kernel

// Bits 6 and 7 are ECN's: iptables has no names for them.
constexpr unsigned named_flags = 0x3f;

}  // namespace

Cidr RandomRules::cidr() {
  IpAddress address{.family = family_, .bytes = {}};
  const std::uint8_t bits = address_bits(family_);
  for (std::size_t i = 0; i < bits / 8U; ++i) {
    address.bytes.at(i) = pick<std::uint8_t>(random_, 0, 255);
  }
  const std::array<std::uint8_t, 4> edges{1, 8, static_cast<std::uint8_t>(bits - 1), bits};
  const auto length =
      one_in(random_, 3) ? pick_of(random_, edges) : pick<std::uint8_t>(random_, 1, bits);
  return make_cidr(address, length);
}

std::optional<AddressMatch> RandomRules::address() {
  if (one_in(random_, 2)) return std::nullopt;
  AddressMatch match{.cidr = cidr(), .negated = one_in(random_, 3)};
  if (match.negated && one_in(random_, 8)) match.cidr = make_cidr(match.cidr.address, 0);
  return match;
}

std::optional<Interface> RandomRules::interface() {
  static const std::array<std::string, 9> names{
      "lo", "eth0", "a", "abcdefghijklmno", "abcdefghijklmn+", "eth+", "a+b", "net.1-x_2", "e+"};
  if (one_in(random_, 2)) return std::nullopt;
  return Interface{.name = pick_of(random_, names), .negated = one_in(random_, 3)};
}

PortMatch RandomRules::ports() {
  const std::array<PortRange, 6> edges{
      {{1, 1}, {65535, 65535}, {1, 65535}, {0, 65534}, {0, 0}, {80, 80}}};
  PortMatch match{.ports = pick_of(random_, edges), .negated = one_in(random_, 3)};
  if (one_in(random_, 2)) {
    match.ports.first = pick<std::uint16_t>(random_, 1, 65535);
    match.ports.last = pick<std::uint16_t>(random_, match.ports.first, 65535);
  }
  return match;
}

std::optional<PortMatch> RandomRules::maybe_ports() {
  if (one_in(random_, 2)) return std::nullopt;
  return ports();
}

std::optional<OwnerRange> RandomRules::ids() {
  if (one_in(random_, 2)) return std::nullopt;
  const std::array<std::uint32_t, 4> edges{0, 1, 1337, highest_id};
  OwnerRange range{.first = pick_of(random_, edges), .negated = one_in(random_, 3)};
  range.last =
      one_in(random_, 2) ? range.first : pick<std::uint32_t>(random_, range.first, highest_id);
  return range;
}

Tcp RandomRules::tcp() {
  Tcp tcp{.source = maybe_ports(), .destination = maybe_ports()};
  if (one_in(random_, 3)) {
    const auto mask = pick<unsigned>(random_, 1, named_flags);
    const auto compare = pick<unsigned>(random_, 0, named_flags) & mask;
    tcp.flags = TcpFlags{.mask = static_cast<std::uint8_t>(mask),
                         .compare = static_cast<std::uint8_t>(compare),
                         .negated = one_in(random_, 3)};
  }
  return tcp;
}

Owner RandomRules::owner() {
  Owner owner{.uid = ids(), .gid = ids()};
  // The vendor's programs print nothing but "-m owner" for it and then refuse that.
  if (!owner.uid && !owner.gid) owner.uid = OwnerRange{.first = 0, .last = 0};
  return owner;
}

Target RandomRules::target(Table table, bool has_ports, bool is_tcp) {
  std::vector<Target> choices{Accept{}, Return{}, Jump{random_jump_chain},
                              Jump{.chain = random_jump_chain, .go_to = true}};
  if (table != Table::nat) choices.emplace_back(Drop{});
  if (table == Table::nat && has_ports) {
    choices.emplace_back(Redirect{pick<std::uint16_t>(random_, 1, 65535)});
    choices.emplace_back(Redirect{one_in(random_, 2) ? std::uint16_t{1} : std::uint16_t{65535}});
  }
  if (table == Table::filter && is_tcp) choices.emplace_back(RejectWithTcpReset{});
  return pick_of(random_, choices);
}

Rule RandomRules::next(Table table) {
  Rule rule{.source = address(), .destination = address(), .in = interface(), .out = interface()};
  // 200 has no name in protocols(5), which iptables-save would print.
  const std::array<Protocol, 6> protocols{Protocol::tcp,    Protocol::tcp,
                                          Protocol::udp,    Protocol::icmp,
                                          Protocol::icmpv6, static_cast<Protocol>(200)};
  if (!one_in(random_, 4)) rule.protocol = pick_of(random_, protocols);
  const bool is_tcp = rule.protocol == Protocol::tcp;
  const bool has_ports = is_tcp || rule.protocol == Protocol::udp;
  if (one_in(random_, 3)) rule.matches.emplace_back(owner());
  if (is_tcp && !one_in(random_, 4)) rule.matches.emplace_back(tcp());
  if (rule.protocol == Protocol::udp && !one_in(random_, 4)) {
    rule.matches.emplace_back(Udp{.source = maybe_ports(), .destination = maybe_ports()});
  }
  if (one_in(random_, 3)) rule.matches.emplace_back(owner());
  rule.target = target(table, has_ports, is_tcp);
  return rule;
}

}  // namespace sluice::kernel

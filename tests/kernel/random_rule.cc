// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/random_rule.h"

#include <algorithm>
#include <array>
#include <cstddef>
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

Multiport RandomRules::multiport() {
  Multiport match{.negated = one_in(random_, 3)};
  const auto slots = pick<std::size_t>(random_, 1, Multiport::slots);
  for (std::size_t used = 0; used < slots; ++used) {
    PortRange ports{.first = pick<std::uint16_t>(random_, 0, 65534)};
    ports.last = ports.first;
    if (used + 2 <= slots && one_in(random_, 3)) {
      ports.last = pick<std::uint16_t>(random_, static_cast<std::uint16_t>(ports.first + 1), 65535);
      ++used;
    }
    match.destinations.push_back(ports);
  }
  return match;
}

std::uint32_t RandomRules::bits() {
  const std::array<std::uint32_t, 6> edges{0, 1, 0x539, 0xff, 0x80000000, 0xffffffff};
  if (one_in(random_, 2)) return pick_of(random_, edges);
  return pick<std::uint32_t>(random_, 0, 0xffffffff);
}

Limit RandomRules::limit() {
  // 10000/sec, 101/sec, 10/sec, 3/sec, 1/sec, 7/min, 1/min, 3/hour.
  const std::array<std::uint32_t, 8> periods{1,      99,     1000,    3333,
                                             10'000, 85'714, 600'000, 12'000'000};
  return {.period = pick_of(random_, periods), .burst = pick<std::uint32_t>(random_, 1, 20)};
}

std::vector<Match> RandomRules::matches(std::optional<Protocol> protocol) {
  std::vector<Match> all;
  const bool is_tcp = protocol == Protocol::tcp;
  const bool is_udp = protocol == Protocol::udp;
  for (const int rarity : {3, 4, 8}) {
    if (one_in(random_, rarity)) all.emplace_back(owner());
  }
  if (is_tcp && !one_in(random_, 4)) all.emplace_back(tcp());
  if (is_udp && !one_in(random_, 4)) {
    all.emplace_back(Udp{.source = maybe_ports(), .destination = maybe_ports()});
  }
  if ((is_tcp || is_udp) && one_in(random_, 3)) all.emplace_back(multiport());
  if (one_in(random_, 5)) {
    all.emplace_back(Mark{.value = bits(), .mask = bits(), .negated = one_in(random_, 3)});
  }
  if (one_in(random_, 5)) {
    all.emplace_back(Connmark{.value = bits(), .mask = bits(), .negated = one_in(random_, 3)});
  }
  if (one_in(random_, 5)) {
    constexpr std::uint16_t all_states = Conntrack::invalid | Conntrack::established |
                                         Conntrack::related | Conntrack::new_connection |
                                         Conntrack::untracked;
    std::uint16_t states = pick<std::uint16_t>(random_, 1, all_states) & all_states;
    if (states == 0) states = Conntrack::untracked;
    all.emplace_back(Conntrack{.states = states, .negated = one_in(random_, 3)});
  }
  if (one_in(random_, 5)) all.emplace_back(limit());
  std::shuffle(all.begin(), all.end(), random_);
  return all;
}

Tproxy RandomRules::tproxy() {
  Tproxy target{.address = {.family = family_, .bytes = {}},
                .port = pick<std::uint16_t>(random_, 0, 65535),
                .mark = bits(),
                .mask = bits()};
  if (one_in(random_, 2)) target.address = make_cidr(cidr().address, address_bits(family_)).address;
  return target;
}

Nflog RandomRules::nflog() {
  static const std::array<std::string, 9> prefixes{
      "",  "plain_word-1", "two words",          R"(a "quote", a \ and a ')", "-j",
      "!", "\xc3\xa9",     std::string(63, 'x'), std::string(63, '"')};
  const std::array<std::uint16_t, 3> groups{0, 1, 65535};
  return {.group = pick_of(random_, groups), .prefix = pick_of(random_, prefixes)};
}

Target RandomRules::target(Table table, bool has_ports, bool is_tcp) {
  std::vector<Target> choices{Accept{}, Return{}, Jump{random_jump_chain},
                              Jump{.chain = random_jump_chain, .go_to = true}, nflog()};
  if (table != Table::nat) choices.emplace_back(Drop{});
  if (table == Table::nat && has_ports) {
    choices.emplace_back(Redirect{pick<std::uint16_t>(random_, 1, 65535)});
    choices.emplace_back(Redirect{one_in(random_, 2) ? std::uint16_t{1} : std::uint16_t{65535}});
  }
  if (table == Table::filter && is_tcp) choices.emplace_back(RejectWithTcpReset{});
  if (table == Table::filter) choices.emplace_back(RejectWithPortUnreachable{family_});
  if (table == Table::raw) choices.emplace_back(CtZone{pick<std::uint16_t>(random_, 0, 65535)});
  if (table == Table::mangle) {
    choices.insert(choices.end(),
                   {SetMark{.value = bits(), .mask = bits()}, SaveMark{}, RestoreMark{}});
  }
  if (table == Table::mangle && has_ports) choices.insert(choices.end(), 2, tproxy());
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
  rule.matches = matches(rule.protocol);
  rule.target = target(table, is_tcp || rule.protocol == Protocol::udp, is_tcp);
  return rule;
}

}  // namespace sluice::kernel

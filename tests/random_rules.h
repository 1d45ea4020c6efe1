// SPDX-License-Identifier: GPL-2.0-or-later
// Random rules of one chain in few addresses, ports and owners, so that neighbours meet, and what
// becomes of packets there. The same seed gives the same ones.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "rules/rule.h"
#include "rules/text.h"

namespace sluice {

struct TestPacket {
  IpAddress source;
  IpAddress destination;
  std::string in;
  Protocol protocol = Protocol::tcp;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint32_t uid = 0;
  std::uint32_t mark = 0;
};

inline bool holds(const PortMatch& match, std::uint16_t port) {
  return (match.ports.first <= port && port <= match.ports.last) != match.negated;
}

inline bool holds(const std::optional<AddressMatch>& match, const IpAddress& address) {
  if (!match) return true;
  return (make_cidr(address, match->cidr.length) == match->cidr) != match->negated;
}

inline bool holds(const Match& match, const TestPacket& packet) {
  const auto ports = [&](const auto& header) {
    return (!header.source || holds(*header.source, packet.source_port)) &&
           (!header.destination || holds(*header.destination, packet.destination_port));
  };
  return std::visit(
      Overloaded{[&](const Tcp& tcp) { return ports(tcp); },
                 [&](const Udp& udp) { return ports(udp); },
                 [&](const Owner& owner) {
                   const OwnerRange& uid = *owner.uid;
                   return (uid.first <= packet.uid && packet.uid <= uid.last) != uid.negated;
                 },
                 [&](const Multiport& multiport) {
                   return std::any_of(multiport.destinations.begin(), multiport.destinations.end(),
                                      [&](PortRange range) {
                                        return range.first <= packet.destination_port &&
                                               packet.destination_port <= range.last;
                                      }) != multiport.negated;
                 },
                 [&](const Mark& mark) {
                   return ((packet.mark & mark.mask) == mark.value) != mark.negated;
                 },
                 [](const auto&) { return false; }},
      match);
}

inline bool holds(const Rule& rule, const TestPacket& packet) {
  return holds(rule.source, packet.source) && holds(rule.destination, packet.destination) &&
         (!rule.in || (rule.in->name == packet.in) != rule.in->negated) &&
         (!rule.protocol || *rule.protocol == packet.protocol) &&
         std::all_of(rule.matches.begin(), rule.matches.end(),
                     [&](const Match& match) { return holds(match, packet); });
}

// What the chain does to the packet, spelled out; a zone is chosen once, a mark changes what the
// rules behind it see, a chain that is called comes back and does nothing the second time.
inline std::string fate_of(TestPacket packet, const std::vector<Rule>& rules) {
  std::string fate;
  for (const Rule& rule : rules) {
    if (!holds(rule, packet)) continue;
    const std::string target = to_string("", Rule{.target = rule.target}).substr(4);
    const auto* jump = std::get_if<Jump>(&rule.target);
    const auto* mark = std::get_if<SetMark>(&rule.target);
    if (mark != nullptr) {
      packet.mark = (packet.mark & ~mark->mask) ^ mark->value;
      fate += target;
    } else if (std::holds_alternative<CtZone>(rule.target)) {
      if (fate.find("-j CT") == std::string::npos) fate += target;
    } else if (jump != nullptr && !jump->go_to) {
      if (fate.find(target) == std::string::npos) fate += target;
    } else {
      return fate + target;
    }
  }
  return fate;
}

class RandomRules {
 public:
  explicit RandomRules(std::uint64_t seed) : engine_(seed) {}

  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(engine_);
  }
  bool chance(unsigned percent) { return below(100) < percent; }

  // Neighbours are mostly alike.
  std::vector<Rule> chain(std::size_t length) {
    std::vector<Rule> rules;
    while (rules.size() < length) {
      const Rule shape = rule();
      for (std::size_t left = 1 + below(5); left > 0 && rules.size() < length; --left) {
        rules.push_back(shape);
        vary(rules.back());
      }
    }
    return rules;
  }

  TestPacket packet() {
    return {.source = address(),
            .destination = address(),
            .in = name(),
            .protocol = protocol(),
            .source_port = port(),
            .destination_port = port(),
            .uid = static_cast<std::uint32_t>(below(3)),
            .mark = static_cast<std::uint32_t>(below(3))};
  }

 private:
  // Eight of them, with all that is around them.
  IpAddress address() {
    IpAddress made;
    made.bytes = {static_cast<std::uint8_t>(chance(50) ? 10 : 200), 0, 0,
                  static_cast<std::uint8_t>(below(4))};
    return made;
  }

  std::uint16_t port() {
    if (chance(10)) return static_cast<std::uint16_t>(chance(50) ? 0 : 65535);
    return static_cast<std::uint16_t>(50 + below(8));
  }

  PortRange ports() {
    const std::uint16_t a = port();
    const std::uint16_t b = chance(50) ? a : port();
    return {.first = std::min(a, b), .last = std::max(a, b)};
  }

  Protocol protocol() { return chance(60) ? Protocol::tcp : Protocol::udp; }
  std::string name() { return chance(50) ? "eth0" : "lo"; }

  std::optional<AddressMatch> match() {
    constexpr std::array<std::uint8_t, 6> lengths{32, 32, 31, 30, 1, 0};
    return AddressMatch{.cidr = make_cidr(address(), lengths.at(below(lengths.size()))),
                        .negated = chance(10)};
  }

  Target target() {
    switch (below(9)) {
      case 0:
        return Accept{};
      case 1:
        return Drop{};
      case 2:
        return Redirect{15001};
      case 3:
        return CtZone{static_cast<std::uint16_t>(1 + below(2))};
      case 4:
      case 5:
        return Jump{chance(50) ? "A" : "B", chance(30)};
      case 6:
        return SetMark{.value = static_cast<std::uint32_t>(below(3)),
                       .mask = chance(50) ? 1 : all_bits};
      default:
        return Return{};
    }
  }

  void add_ports(Rule& rule) {
    rule.protocol = protocol();
    const PortMatch destination{.ports = ports(), .negated = chance(15)};
    if (chance(20)) {
      rule.matches.emplace_back(
          Multiport{.destinations = {ports(), ports()}, .negated = chance(50)});
      if (chance(60)) return;
    }
    std::optional<PortMatch> source;
    if (chance(15)) source = PortMatch{.ports = ports()};
    if (rule.protocol == Protocol::tcp) {
      rule.matches.emplace_back(Tcp{.source = source, .destination = destination});
    } else {
      rule.matches.emplace_back(Udp{.source = source, .destination = destination});
    }
  }

  Rule rule() {
    Rule made{.target = target()};
    if (chance(40)) made.destination = match();
    if (chance(20)) made.source = match();
    if (chance(15)) made.in = Interface{.name = name(), .negated = chance(30)};
    const auto uid = static_cast<std::uint32_t>(below(3));
    if (chance(20)) {
      made.matches.emplace_back(Owner{.uid = OwnerRange{.first = uid, .last = uid}});
    }
    if (chance(15)) made.matches.emplace_back(Mark{.value = uid, .negated = chance(30)});
    if (chance(50)) add_ports(made);
    return made;
  }

  // Another address or port in the same place.
  void vary(Rule& rule) {
    if (rule.destination && chance(80)) rule.destination = match();
    if (rule.source && !rule.destination && chance(80)) rule.source = match();
    if (rule.destination || rule.source) return;
    for (Match& match : rule.matches) {
      std::optional<PortMatch>* place = nullptr;
      if (Tcp* tcp = std::get_if<Tcp>(&match)) place = &tcp->destination;
      if (Udp* udp = std::get_if<Udp>(&match)) place = &udp->destination;
      if (place == nullptr || !*place) continue;
      (*place)->ports = ports();
      if (match == Match(Tcp{.destination = *place}) && chance(40)) {
        match = Udp{.destination = std::get<Tcp>(match).destination};
        rule.protocol = Protocol::udp;
      }
    }
  }

  std::mt19937_64 engine_;
};

}  // namespace sluice

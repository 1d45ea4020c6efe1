// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "rules/error.h"
#include "rules/nft/text_part.h"
#include "rules/nft/text_words.h"

namespace sluice::nft {
namespace {

using Texts = std::vector<std::string>;

// With all that differ from it by a sign.
std::string compared(const std::string& what, bool negated, const std::string& value) {
  return what + (negated ? " != " : " ") + value;
}

void append_ports(Texts& texts, const std::string& what, const std::optional<PortMatch>& match) {
  if (match) texts.push_back(compared(what, match->negated, spelled(match->ports)));
}

std::string flag_names(std::uint8_t bits) {
  constexpr std::array<const char*, 6> names{"fin", "syn", "rst", "psh", "ack", "urg"};
  Words words(",");
  for (std::size_t i = 0; i < names.size(); ++i) {
    if ((static_cast<unsigned>(bits) >> i & 1U) != 0) words.add(names.at(i));
  }
  return words.text();
}

// nft has a spelling of its own for one flag, and for none.
std::string flags_text(const TcpFlags& flags) {
  constexpr unsigned known = 0x3f;
  const unsigned mask = flags.mask;
  if (mask == 0 || (mask & ~known) != 0 || (flags.compare & ~mask) != 0) {
    throw no_equal_of("TCP flags " + std::to_string(flags.compare) + " of " + std::to_string(mask));
  }
  const std::string names = flag_names(flags.mask);
  if (flags.compare == 0) return std::string("tcp flags ") + (flags.negated ? "" : "! ") + names;
  if ((mask & (mask - 1)) == 0) {
    return "tcp flags & " + names + (flags.negated ? " != " : " == ") + names;
  }
  return compared("tcp flags", flags.negated, flag_names(flags.compare) + " / " + names);
}

Texts texts_of(const Tcp& tcp) {
  Texts texts;
  append_ports(texts, "tcp sport", tcp.source);
  append_ports(texts, "tcp dport", tcp.destination);
  if (tcp.flags) texts.push_back(flags_text(*tcp.flags));
  return texts;
}

Texts texts_of(const Udp& udp) {
  Texts texts;
  append_ports(texts, "udp sport", udp.source);
  append_ports(texts, "udp dport", udp.destination);
  return texts;
}

void append_owner(Texts& texts, const char* what, const std::optional<OwnerRange>& owner) {
  if (owner) {
    texts.push_back(compared(what, owner->negated, spelled_range(owner->first, owner->last)));
  }
}

Texts texts_of(const Owner& owner) {
  Texts texts;
  append_owner(texts, "meta skuid", owner.uid);
  append_owner(texts, "meta skgid", owner.gid);
  return texts;
}

// Each is a match of its own: a packet to none of the ports passes all of them.
Texts texts_of(const Multiport& multiport, std::optional<Protocol> protocol) {
  if (!multiport.negated) throw no_equal_of("a list of ports that is no run of rules");
  if (protocol != Protocol::tcp && protocol != Protocol::udp) {
    throw no_equal_of("a list of ports of neither tcp nor udp");
  }
  const std::string what = protocol == Protocol::tcp ? "tcp dport" : "udp dport";
  Texts texts;
  for (const PortRange ports : multiport.destinations) {
    texts.push_back(compared(what, true, spelled(ports)));
  }
  return texts;
}

template <class MarkMatch>
Texts mark_texts(const char* what, const MarkMatch& mark) {
  if (mark.mask == 0 || (mark.value & ~mark.mask) != 0) {
    throw no_equal_of("mark " + hexadecimal(mark.value) + " of " + hexadecimal(mark.mask));
  }
  if (mark.mask == all_bits) return {compared(what, mark.negated, hexadecimal(mark.value))};
  return {std::string(what) + " & " + hexadecimal(mark.mask) + (mark.negated ? " != " : " == ") +
          hexadecimal(mark.value)};
}

std::string state_text(const Conntrack& conntrack) {
  constexpr std::array<std::pair<unsigned, const char*>, 5> names{
      {{Conntrack::invalid, "invalid"},
       {Conntrack::established, "established"},
       {Conntrack::related, "related"},
       {Conntrack::new_connection, "new"},
       {Conntrack::untracked, "untracked"}}};
  unsigned left = conntrack.states;
  Words words(",");
  for (const auto& [bit, name] : names) {
    if ((left & bit) == 0) continue;
    words.add(name);
    left &= ~bit;
  }
  if (left != 0) throw no_equal_of("connection states " + std::to_string(conntrack.states));
  const bool several = words.count() > 1;
  const char* sign = several ? " ! " : " != ";
  return std::string("ct state") + (conntrack.negated ? sign : " ") + words.text();
}

Texts texts_of(const Conntrack& conntrack) {
  Texts texts;
  if (conntrack.states != 0) texts.push_back(state_text(conntrack));
  if (!conntrack.direction) return texts;
  // iptables does not look at the direction of a packet without a connection that has the state.
  constexpr unsigned without_connection = Conntrack::invalid | Conntrack::untracked;
  if (conntrack.negated || (conntrack.states & without_connection) != 0) {
    throw no_equal_of("a connection's direction with states of packets without one");
  }
  const bool reply = *conntrack.direction == Conntrack::Direction::reply;
  texts.push_back(std::string("ct direction ") + (reply ? "reply" : "original"));
  return texts;
}

Texts texts_of(const Limit& limit) {
  constexpr std::uint64_t per_second = 10'000;  // Limit::period's units
  constexpr std::uint32_t default_burst = 5;
  constexpr std::array<std::pair<std::uint64_t, const char*>, 5> units{
      {{1, "second"}, {60, "minute"}, {3600, "hour"}, {86400, "day"}, {604800, "week"}}};
  const auto* const unit = std::find_if(units.begin(), units.end(), [&](const auto& candidate) {
    return limit.period != 0 && candidate.first * per_second % limit.period == 0;
  });
  if (unit == units.end() || limit.burst == 0) {
    throw no_equal_of("a limit of " + std::to_string(limit.burst) + " packets and one more in " +
                      std::to_string(limit.period) + " times 0.1 ms");
  }
  std::string text =
      "limit rate " + std::to_string(unit->first * per_second / limit.period) + "/" + unit->second;
  if (limit.burst != default_burst) text += " burst " + std::to_string(limit.burst) + " packets";
  return {text};
}

}  // namespace

std::vector<std::string> match_texts(const Match& match, std::optional<Protocol> protocol) {
  return std::visit(
      Overloaded{[](const Mark& mark) { return mark_texts("meta mark", mark); },
                 [](const Connmark& mark) { return mark_texts("ct mark", mark); },
                 [&](const Multiport& multiport) { return texts_of(multiport, protocol); },
                 [](const Opaque& opaque) -> Texts { throw no_equal_of(quote(opaque.text)); },
                 [](const auto& known) { return texts_of(known); }},
      match);
}

}  // namespace sluice::nft

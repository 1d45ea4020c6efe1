// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/text.h"

#include <array>
#include <cstdint>
#include <utility>

namespace sluice {
namespace {

const char* negation(bool negated) {
  return negated ? " !" : "";
}

std::string to_string(PortRange ports) {
  if (ports.first == ports.last) return std::to_string(ports.first);
  return std::to_string(ports.first) + ":" + std::to_string(ports.last);
}

std::string to_string(const OwnerRange& owner) {
  if (owner.first == owner.last) return std::to_string(owner.first);
  return std::to_string(owner.first) + "-" + std::to_string(owner.last);
}

std::string to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::icmp:
      return "icmp";
    case Protocol::tcp:
      return "tcp";
    case Protocol::udp:
      return "udp";
    case Protocol::icmpv6:
      return "ipv6-icmp";
  }
  return std::to_string(static_cast<unsigned>(protocol));
}

std::string tcp_flag_names(std::uint8_t bits) {
  constexpr std::array<const char*, 6> names{"FIN", "SYN", "RST", "PSH", "ACK", "URG"};
  if (bits == 0) return "NONE";
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if ((static_cast<unsigned>(bits) >> i & 1U) == 0) continue;
    if (!text.empty()) text += ',';
    text += names.at(i);
  }
  return text;
}

// " --dport 80", " ! --dport 8000:8100".
std::string option(const char* name, const std::optional<PortMatch>& match) {
  if (!match) return "";
  return std::string(negation(match->negated)) + " --" + name + " " + to_string(match->ports);
}

std::string option(const char* name, const std::optional<OwnerRange>& owner) {
  if (!owner) return "";
  return std::string(negation(owner->negated)) + " --" + name + " " + to_string(*owner);
}

std::string to_string(const Match& match) {
  return std::visit(
      Overloaded{
          [](const Tcp& tcp) {
            std::string text =
                " -m tcp" + option("sport", tcp.source) + option("dport", tcp.destination);
            if (tcp.flags) {
              text += std::string(negation(tcp.flags->negated)) + " --tcp-flags " +
                      tcp_flag_names(tcp.flags->mask) + " " + tcp_flag_names(tcp.flags->compare);
            }
            return text;
          },
          [](const Udp& udp) {
            return " -m udp" + option("sport", udp.source) + option("dport", udp.destination);
          },
          [](const Owner& owner) {
            return " -m owner" + option("uid-owner", owner.uid) + option("gid-owner", owner.gid);
          },
          [](const Opaque& opaque) { return " " + opaque.text; },
      },
      match);
}

std::string to_string(const Target& target) {
  return std::visit(
      Overloaded{
          [](const Accept&) -> std::string { return " -j ACCEPT"; },
          [](const Drop&) -> std::string { return " -j DROP"; },
          [](const Return&) -> std::string { return " -j RETURN"; },
          [](const Jump& jump) { return (jump.go_to ? " -g " : " -j ") + jump.chain; },
          [](const Redirect& redirect) {
            return " -j REDIRECT --to-ports " + std::to_string(redirect.port);
          },
          [](const RejectWithTcpReset&) -> std::string {
            return " -j REJECT --reject-with tcp-reset";
          },
          [](const Opaque& opaque) {
            return opaque.text.empty() ? opaque.text : " " + opaque.text;
          },
      },
      target);
}

void append_interface(std::string& text, const char* option,
                      const std::optional<Interface>& interface) {
  if (interface) text += std::string(negation(interface->negated)) + option + interface->name;
}

void append_address(std::string& text, const char* option,
                    const std::optional<AddressMatch>& match) {
  if (match) text += std::string(negation(match->negated)) + option + to_string(match->cidr);
}

const char* policy_name(const Chain& chain) {
  if (!chain.policy) return "-";
  return *chain.policy == Policy::accept ? "ACCEPT" : "DROP";
}

std::string to_text(const Ruleset& ruleset, std::string (*declare)(const Chain&)) {
  std::string text;
  for (const TableRules& table : ruleset.tables) {
    text += std::string("*") + to_string(table.table) + "\n";
    for (const Chain& chain : table.chains) text += declare(chain);
    for (const Chain& chain : table.chains) {
      for (const Rule& rule : chain.rules) text += to_string(chain.name, rule) + "\n";
    }
    text += "COMMIT\n";
  }
  return text;
}

}  // namespace

std::string to_string(const std::string& chain, const Rule& rule) {
  std::string text = "-A " + chain;
  append_address(text, " -s ", rule.source);
  append_address(text, " -d ", rule.destination);
  append_interface(text, " -i ", rule.in);
  append_interface(text, " -o ", rule.out);
  if (rule.protocol) text += " -p " + to_string(*rule.protocol);
  for (const Match& match : rule.matches) text += to_string(match);
  return text + to_string(rule.target);
}

std::string to_save(const Ruleset& ruleset) {
  return to_text(ruleset, [](const Chain& chain) {
    return ":" + chain.name + " " + policy_name(chain) + " [0:0]\n";
  });
}

std::string to_restore(const Ruleset& ruleset) {
  return to_text(ruleset, [](const Chain& chain) {
    return chain.policy ? std::string() : "-N " + chain.name + "\n";
  });
}

std::string to_text(const std::vector<Ruleset>& rulesets, std::string (*print)(const Ruleset&)) {
  std::string text;
  for (const Ruleset& ruleset : rulesets) {
    if (ruleset.family == Family::ipv6) text += std::string(family_separator) + "\n";
    text += print(ruleset);
  }
  return text;
}

}  // namespace sluice

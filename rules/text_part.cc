// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/text_part.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace sluice {
namespace {

const char* negation(bool negated) {
  return negated ? " !" : "";
}

std::string hexadecimal(std::uint32_t value) {
  std::array<char, 8> digits{};
  const auto result = std::to_chars(digits.begin(), digits.end(), value, 16);
  return "0x" + std::string(digits.begin(), result.ptr);
}

std::string to_string(PortRange ports) {
  if (ports.first == ports.last) return std::to_string(ports.first);
  return std::to_string(ports.first) + ":" + std::to_string(ports.last);
}

std::string to_string(const OwnerRange& owner) {
  if (owner.first == owner.last) return std::to_string(owner.first);
  return std::to_string(owner.first) + "-" + std::to_string(owner.last);
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

std::string match_text(const Tcp& tcp) {
  std::string text = " -m tcp" + option("sport", tcp.source) + option("dport", tcp.destination);
  if (tcp.flags) {
    text += std::string(negation(tcp.flags->negated)) + " --tcp-flags " +
            tcp_flag_names(tcp.flags->mask) + " " + tcp_flag_names(tcp.flags->compare);
  }
  return text;
}

std::string match_text(const Udp& udp) {
  return " -m udp" + option("sport", udp.source) + option("dport", udp.destination);
}

std::string match_text(const Owner& owner) {
  return " -m owner" + option("uid-owner", owner.uid) + option("gid-owner", owner.gid);
}

std::string match_text(const Multiport& match) {
  std::string list;
  for (const PortRange ports : match.destinations) {
    list += (list.empty() ? "" : ",") + to_string(ports);
  }
  return std::string(" -m multiport") + negation(match.negated) + " --dports " + list;
}

template <class MarkMatch>
std::string mark_text(const char* name, const MarkMatch& match) {
  std::string text =
      std::string(" -m ") + name + negation(match.negated) + " --mark " + hexadecimal(match.value);
  if (match.mask != all_bits) text += "/" + hexadecimal(match.mask);
  return text;
}

std::string match_text(const Mark& match) {
  return mark_text("mark", match);
}

std::string match_text(const Connmark& match) {
  return mark_text("connmark", match);
}

std::string match_text(const Conntrack& match) {
  std::string list;
  for (const auto& [bit, name] : conntrack_states) {
    if ((match.states & bit) == 0) continue;
    list += (list.empty() ? "" : ",") + std::string(name);
  }
  std::string text = " -m conntrack";
  if (!list.empty()) text += std::string(negation(match.negated)) + " --ctstate " + list;
  if (!match.direction) return text;
  return text + " --ctdir " +
         (*match.direction == Conntrack::Direction::reply ? "REPLY" : "ORIGINAL");
}

// The largest unit in which the rate is a whole number, or nearly so: libxt_limit's own choice.
std::string match_text(const Limit& match) {
  constexpr std::uint32_t default_burst = 5;
  std::string text = " -m limit --limit ";
  std::size_t i = 1;
  while (match.period != 0 && i < limit_units.size() && match.period <= limit_units.at(i).first &&
         limit_units.at(i).first / match.period >= limit_units.at(i).first % match.period) {
    ++i;
  }
  const auto& [unit, name] = limit_units.at(i - 1);
  text += match.period == 0 ? "inf" : std::to_string(unit / match.period) + "/" + std::string(name);
  if (match.burst != default_burst) text += " --limit-burst " + std::to_string(match.burst);
  return text;
}

std::string match_text(const Opaque& opaque) {
  return " " + opaque.text;
}

// As xtables_save_string(): quoted unless it is a plain word.
std::string quoted(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  if (plain) return text;
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '\'') result += '\\';
    result += c;
  }
  return result + "\"";
}

std::string target_text(const Accept& /*target*/) {
  return " -j ACCEPT";
}

std::string target_text(const Drop& /*target*/) {
  return " -j DROP";
}

std::string target_text(const Return& /*target*/) {
  return " -j RETURN";
}

std::string target_text(const Jump& jump) {
  return (jump.go_to ? " -g " : " -j ") + jump.chain;
}

std::string target_text(const Redirect& redirect) {
  return " -j REDIRECT --to-ports " + std::to_string(redirect.port);
}

std::string target_text(const RejectWithTcpReset& /*target*/) {
  return " -j REJECT --reject-with tcp-reset";
}

std::string target_text(const RejectWithPortUnreachable& reject) {
  return std::string(" -j REJECT --reject-with ") +
         (reject.family == Family::ipv4 ? "icmp-port-unreachable" : "icmp6-port-unreachable");
}

std::string target_text(const SetMark& mark) {
  return " -j MARK --set-xmark " + hexadecimal(mark.value) + "/" + hexadecimal(mark.mask);
}

std::string target_text(const SaveMark& /*target*/) {
  return " -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff";
}

std::string target_text(const RestoreMark& /*target*/) {
  return " -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff";
}

std::string target_text(const Tproxy& tproxy) {
  return " -j TPROXY --on-port " + std::to_string(tproxy.port) + " --on-ip " +
         to_string(tproxy.address) + " --tproxy-mark " + hexadecimal(tproxy.mark) + "/" +
         hexadecimal(tproxy.mask);
}

std::string target_text(const CtZone& zone) {
  return zone.zone == 0 ? " -j CT" : " -j CT --zone " + std::to_string(zone.zone);
}

std::string target_text(const Nflog& nflog) {
  std::string text = " -j NFLOG";
  if (!nflog.prefix.empty()) text += " --nflog-prefix " + quoted(nflog.prefix);
  if (nflog.group != 0) text += " --nflog-group " + std::to_string(nflog.group);
  return text;
}

std::string target_text(const Opaque& opaque) {
  return opaque.text.empty() ? opaque.text : " " + opaque.text;
}

}  // namespace

std::string to_string(const Match& match) {
  return std::visit([](const auto& known) { return match_text(known); }, match);
}

std::string to_string(const Target& target) {
  return std::visit([](const auto& known) { return target_text(known); }, target);
}

}  // namespace sluice

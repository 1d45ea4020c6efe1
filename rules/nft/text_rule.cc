// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/nft/text_rule.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>

#include "rules/error.h"
#include "rules/nft/text_part.h"
#include "rules/nft/text_words.h"

namespace sluice::nft {
namespace {

// The name is compared as far as a "*" at its end, which may not be a character of it.
std::string interface_text(const Interface& interface) {
  std::string name = interface.name;
  const bool prefix = !name.empty() && name.back() == '+';
  if (prefix) name.pop_back();
  if (name.empty() || name.find('*') != std::string::npos) {
    throw Error("interface " + quote(interface.name) + " has no spelling in nft(8)");
  }
  return (interface.negated ? "!= " : "") + quoted(name + (prefix ? "*" : ""), "interface");
}

// A source or destination and, where there is one, the set that it must be in.
struct Address {
  const char* word;
  const std::optional<AddressMatch>& match;
  const std::string& set;
};

void add_address(Words& words, const Address& address, std::optional<Family> family) {
  if (address.match) {
    words.add(header_word(address.match->cidr.address.family));
    words.add(address.word);
    if (address.match->negated) words.add("!=");
    words.add(spelled(address.match->cidr));
  }
  if (address.set.empty()) return;
  // The family of a set's members is the rule's: to_nft() makes no other rule.
  if (!family)
    throw Error("set " + quote(address.set) + " of addresses in a rule of both families");
  words.add(header_word(*family));
  words.add(address.word);
  words.add("@" + identifier(address.set, "set"));
}

// Whether a match says the protocol too: nft does not list it twice.
bool names_protocol(const Rule& rule) {
  if (!rule.port_set.empty()) return true;
  return std::any_of(rule.rule.matches.begin(), rule.rule.matches.end(), [](const Match& match) {
    const Multiport* multiport = std::get_if<Multiport>(&match);
    if (multiport != nullptr) return !multiport->destinations.empty();
    const bool header = std::holds_alternative<Tcp>(match) || std::holds_alternative<Udp>(match);
    return header && match != Match(Tcp{}) && match != Match(Udp{});
  });
}

void add_protocol(Words& words, const Rule& rule) {
  const std::optional<Protocol>& protocol = rule.rule.protocol;
  if (protocol && !names_protocol(rule)) words.add("meta l4proto " + to_string(*protocol));
  if (rule.port_set.empty()) return;
  if (protocol != Protocol::tcp && protocol != Protocol::udp) {
    throw Error("set " + quote(rule.port_set) + " of ports in a rule of neither tcp nor udp");
  }
  words.add(to_string(*protocol) + " dport @" + identifier(rule.port_set, "set"));
}

// The group that the match excludes, if it does nothing else.
std::optional<std::uint32_t> excluded_group(const Match& match) {
  const Owner* owner = std::get_if<Owner>(&match);
  if (owner == nullptr || owner->uid || !owner->gid) return std::nullopt;
  const OwnerRange& gid = *owner->gid;
  if (!gid.negated || gid.first != gid.last) return std::nullopt;
  return gid.first;
}

// A rule has no place for more than 128 expressions (NFT_RULE_MAXEXPRS), two for each match: many
// groups become a set without a name.
void add_matches(Words& words, const sluice::Rule& rule) {
  constexpr std::size_t single_groups = 60;
  std::set<std::uint32_t> groups;
  for (const Match& match : rule.matches) {
    if (const auto group = excluded_group(match)) groups.insert(*group);
  }
  const bool many = groups.size() > single_groups;
  if (many) {
    Words list(", ");
    for (const std::uint32_t group : groups) list.add(std::to_string(group));
    words.add("meta skgid != { " + list.text() + " }");
  }
  for (const Match& match : rule.matches) {
    if (many && excluded_group(match)) continue;
    for (const std::string& text : match_texts(match, rule.protocol)) words.add(text);
  }
}

std::string conditions(const Rule& rule) {
  const sluice::Rule& base = rule.rule;
  Words words(" ");
  const bool has_address =
      base.source || base.destination || !rule.source_set.empty() || !rule.destination_set.empty();
  if (rule.family && !has_address) {
    words.add(rule.family == Family::ipv4 ? "meta nfproto ipv4" : "meta nfproto ipv6");
  }
  add_address(words, {.word = "saddr", .match = base.source, .set = rule.source_set}, rule.family);
  add_address(words, {.word = "daddr", .match = base.destination, .set = rule.destination_set},
              rule.family);
  if (base.in) words.add("iifname " + interface_text(*base.in));
  if (base.out) words.add("oifname " + interface_text(*base.out));
  add_protocol(words, rule);
  add_matches(words, base);
  words.add("counter");
  return words.text();
}

std::string tproxy_text(const Tproxy& tproxy, std::optional<Family> family) {
  std::string text = "tproxy ";
  const bool any = tproxy.address.bytes == IpAddress().bytes;
  if (!any) family = tproxy.address.family;
  if (family) text += std::string(header_word(*family)) + " ";
  text += "to ";
  if (!any) {
    const std::string address = to_string(tproxy.address);
    text += family == Family::ipv4 ? address : "[" + address + "]";
  }
  text += ":" + std::to_string(tproxy.port);
  if (tproxy.mask != 0 || tproxy.mark != 0) text += " " + mark_statement(tproxy.mark, tproxy.mask);
  return text + " accept";
}

}  // namespace

std::vector<std::string> rule_texts(const Rule& rule, sluice::Table table) {
  std::string end;
  if (!rule.comment.empty()) {
    if (rule.comment.size() > comment_limit)
      throw Error("comment " + quote(rule.comment) + " is longer than 127 bytes");
    end = " comment " + quoted(rule.comment, "comment");
  }
  const std::string start = conditions(rule) + " ";
  const Tproxy* tproxy = std::get_if<Tproxy>(&rule.rule.target);
  if (tproxy == nullptr) return {start + target_text(rule.rule.target, table) + end};
  std::optional<Family> family = rule.family;
  for (const auto* match : {&rule.rule.source, &rule.rule.destination}) {
    if (*match) family = (*match)->cidr.address.family;
  }
  return {start + tproxy_text(*tproxy, family) + end, start + "drop" + end};
}

}  // namespace sluice::nft

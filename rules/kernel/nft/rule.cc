// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/rule.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "rules/error.h"
#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {
namespace {

// libnftnl's NFTNL_UDATA_RULE_COMMENT: a type, a length, text with a NUL behind it.
constexpr std::uint8_t comment_type = 0;
constexpr std::size_t longest_comment = 127;

constexpr std::size_t longest_opaque = 800;

Bytes encode_comment(const std::string& comment) {
  if (comment.empty()) return {};
  if (comment.size() > longest_comment) {
    throw Error("comment " + quote(comment) + " is longer than " + std::to_string(longest_comment) +
                " bytes");
  }
  Bytes bytes{comment_type, static_cast<std::uint8_t>(comment.size() + 1)};
  bytes.insert(bytes.end(), comment.begin(), comment.end());
  bytes.push_back(0);
  return bytes;
}

// What is no such comment is none: it means nothing to the kernel.
std::string decode_comment(View bytes) {
  if (bytes.size() < 4 || bytes[0] != comment_type || bytes.size() != 2U + bytes[1]) return {};
  const View text = bytes.subspan(2, bytes.size() - 3);
  const bool fit = std::all_of(text.begin(), text.end(),
                               [](std::uint8_t byte) { return byte >= 0x20 && byte != 0x7f; });
  if (!fit || text.size() > longest_comment || bytes.back() != 0) return {};
  return {text.begin(), text.end()};
}

Error unwritable(const char* what, const std::string& text) {
  return Error(std::string(what) + " " + quote(text) + " cannot be written");
}

// The family of what the rule compares, if it is of one.
std::optional<Family> family_of(const model::Rule& rule) {
  std::optional<Family> family = rule.family;
  for (const auto* match : {&rule.rule.source, &rule.rule.destination}) {
    if (!*match) continue;
    const Family other = (*match)->cidr.address.family;
    if (family && *family != other) {
      throw Error("address " + to_string((*match)->cidr) + " in a rule of the other family");
    }
    family = other;
  }
  if (!family && !(rule.source_set.empty() && rule.destination_set.empty())) {
    throw Error("set " + quote(rule.source_set + rule.destination_set) +
                " in a rule without a family");
  }
  return family;
}

void encode_side(Expressions& expressions, const std::optional<AddressMatch>& match,
                 const std::string& set, std::optional<Family> family, Side side) {
  if (match && !set.empty()) throw Error("set " + quote(set) + " beside an address");
  if (match) encode_address(expressions, *match, side);
  if (!set.empty()) encode_address_set(expressions, set, *family, side);
}

void check_protocol(const model::Rule& rule, const Match& match) {
  const std::optional<Protocol>& protocol = rule.rule.protocol;
  const bool fits = std::visit(
      Overloaded{
          [&](const Tcp&) { return protocol == Protocol::tcp; },
          [&](const Udp&) { return protocol == Protocol::udp; },
          [&](const Multiport&) { return protocol == Protocol::tcp || protocol == Protocol::udp; },
          [](const auto&) { return true; },
      },
      match);
  if (!fits) throw Error("a match of ports in a rule without its protocol");
}

void encode_match(Expressions& expressions, const Match& match) {
  std::visit(Overloaded{
                 [](const Opaque& opaque) { throw unwritable("match", opaque.text); },
                 [&](const auto& known) { encode(expressions, known); },
             },
             match);
}

void encode_target(Expressions& expressions, const Target& target, const model::Rule& rule,
                   sluice::Table table) {
  std::visit(Overloaded{
                 [](const Opaque& opaque) { throw unwritable("target", opaque.text); },
                 [&](const Jump& jump) {
                   encode(expressions, Jump{.chain = sluice::nft::chain_name(table, jump.chain),
                                            .go_to = jump.go_to});
                 },
                 [&](const Tproxy& tproxy) { encode(expressions, tproxy, family_of(rule)); },
                 [&](const auto& known) { encode(expressions, known); },
             },
             target);
}

// Whether the match is of the header that the protocol has: nft(8) compares the protocol there.
bool is_of_header(const Match& match) {
  if (const auto* ports = std::get_if<Multiport>(&match)) return !ports->destinations.empty();
  if (match == Match(Tcp{}) || match == Match(Udp{})) return false;
  return std::holds_alternative<Tcp>(match) || std::holds_alternative<Udp>(match);
}

// The protocol, the port's set and the matches.
void encode_rest(Expressions& expressions, const model::Rule& rule) {
  const std::vector<Match>& matches = rule.rule.matches;
  bool needs_protocol = rule.rule.protocol.has_value();
  const auto encode_protocol_once = [&] {
    if (std::exchange(needs_protocol, false)) encode_protocol(expressions, *rule.rule.protocol);
  };
  if (std::none_of(matches.begin(), matches.end(), is_of_header)) encode_protocol_once();
  if (!rule.port_set.empty()) {
    check_protocol(rule, Multiport{});
    encode_protocol_once();
    encode_port_set(expressions, rule.port_set);
  }
  for (const Match& match : matches) {
    check_protocol(rule, match);
    if (is_of_header(match)) encode_protocol_once();
    encode_match(expressions, match);
  }
}

Expressions encode_matches(const model::Rule& rule) {
  Expressions expressions;
  const std::optional<Family> family = family_of(rule);
  if (family) encode_family(expressions, *family);
  encode_side(expressions, rule.rule.source, rule.source_set, family, Side::source);
  encode_side(expressions, rule.rule.destination, rule.destination_set, family, Side::destination);
  if (rule.rule.in) encode_in(expressions, *rule.rule.in);
  if (rule.rule.out) encode_out(expressions, *rule.rule.out);
  encode_rest(expressions, rule);
  expressions.emplace_back(expr::Counter{});
  return expressions;
}

bool decode_comparison(const Comparison& comparison, model::Rule& rule) {
  using Decode = bool (*)(const Comparison&, model::Rule&);
  constexpr std::array<Decode, 10> all{
      decode_family, decode_address, decode_interface, decode_protocol, decode_ports,
      decode_flags,  decode_owner,   decode_mark,      decode_connmark, decode_conntrack};
  return std::any_of(all.begin(), all.end(),
                     [&](Decode decode) { return decode(comparison, rule); });
}

// What stands before the counter; `position` then is behind the counter.
bool decode_matches(const Expressions& expressions, std::size_t& position, model::Rule& rule) {
  while (take<expr::Counter>(expressions, position) == nullptr) {
    if (const auto* limit = take<expr::Limit>(expressions, position)) {
      const std::optional<Limit> match = decode_limit(*limit);
      if (!match) return false;
      rule.rule.matches.emplace_back(*match);
      continue;
    }
    const std::optional<Comparison> comparison = take_comparison(expressions, position);
    if (!comparison || !decode_comparison(*comparison, rule)) return false;
  }
  return true;
}

std::optional<Target> decode_target(const Expressions& statements, const model::Rule& rule) {
  using Decode = std::optional<Target> (*)(const Expressions&);
  constexpr std::array<Decode, 7> all{decode_verdict,  decode_redirect,  decode_reject,
                                      decode_set_mark, decode_save_mark, decode_ct_zone,
                                      decode_log};
  for (const Decode decode : all) {
    if (std::optional<Target> target = decode(statements)) return target;
  }
  return decode_tproxy(statements, rule.family);
}

bool refers_to_known_sets(const model::Rule& rule, const KnownSet& known_set) {
  const auto known = [&](const std::string& set, std::optional<Family> family) {
    return set.empty() || known_set(set, family);
  };
  return known(rule.source_set, rule.family) && known(rule.destination_set, rule.family) &&
         known(rule.port_set, std::nullopt);
}

// As far as the expressions can be read; whether they say no more than that is not known yet.
std::optional<model::Rule> guess(const RuleObject& object, sluice::Table table) {
  model::Rule rule;
  std::size_t position = 0;
  const Expressions& expressions = object.expressions;
  if (!decode_matches(expressions, position, rule)) return std::nullopt;
  const auto begin = expressions.begin() + static_cast<std::ptrdiff_t>(position);
  const std::optional<Target> target = decode_target(Expressions(begin, expressions.end()), rule);
  if (!target) return std::nullopt;
  rule.rule.target = *target;
  if (auto* jump = std::get_if<Jump>(&rule.rule.target)) {
    const sluice::nft::ChainNames names = sluice::nft::parse_chain_name(jump->chain);
    if (names.table != table) return std::nullopt;
    jump->chain = names.chain;
  }
  rule.comment = decode_comment(object.user_data);
  return rule;
}

std::vector<RuleObject> encoded(const model::Rule& rule, sluice::Table table) {
  try {
    return encode_rule(rule, table);
  } catch (const Error&) {  // nothing that we would write
    return {};
  }
}

// How many of the rules from `position` on are what encode_rule() makes of `rule`: all, or none.
std::size_t count_equal(const model::Rule& rule, const std::vector<RuleObject>& rules,
                        std::size_t position, sluice::Table table) {
  const std::vector<RuleObject> wanted = encoded(rule, table);
  if (wanted.size() > rules.size() - position) return 0;
  const bool equal = std::equal(wanted.begin(), wanted.end(),
                                rules.begin() + static_cast<std::ptrdiff_t>(position),
                                [](const RuleObject& a, const RuleObject& b) {
                                  return spelled_out(a.expressions) == b.expressions;
                                });
  return equal ? wanted.size() : 0;
}

std::string text_of(const Expressions& expressions) {
  std::string text = "nf_tables [";
  for (const Expression& expression : expressions) {
    if (text.back() != '[') text += ", ";
    text += name_of(expression);
    Bytes bytes;
    if (const auto* unknown = std::get_if<expr::Unknown>(&expression)) {
      bytes = unknown->attributes;
    } else {
      bytes = write_expressions({expression});
    }
    text += " 0x" + hexadecimal(View(bytes).first(std::min(bytes.size(), longest_opaque)));
    if (text.size() > longest_opaque) break;
  }
  return text + "]";
}

}  // namespace

std::vector<RuleObject> encode_rule(const sluice::nft::Rule& rule, sluice::Table table) {
  const Bytes user_data = encode_comment(rule.comment);
  const Expressions matches = encode_matches(rule);
  std::vector<RuleObject> rules{{.expressions = matches, .user_data = user_data}};
  encode_target(rules.front().expressions, rule.rule.target, rule, table);
  if (std::holds_alternative<Tproxy>(rule.rule.target)) {
    // Without a socket that listens the first one does not end.
    rules.push_back({.expressions = matches, .user_data = user_data});
    encode_target(rules.back().expressions, Drop{}, rule, table);
  }
  for (RuleObject& object : rules) {
    if (object.expressions.size() > most_expressions) share_loads(object.expressions);
    if (object.expressions.size() > most_expressions) {
      throw unsupported("a rule of " + std::to_string(object.expressions.size()) +
                        " expressions is longer than nf_tables' " +
                        std::to_string(most_expressions));
    }
  }
  return rules;
}

std::vector<sluice::nft::Rule> decode_rules(const std::vector<RuleObject>& rules,
                                            sluice::Table table, const KnownSet& known_set) {
  std::vector<model::Rule> all;
  std::vector<RuleObject> plain = rules;
  for (RuleObject& rule : plain) rule.expressions = spelled_out(rule.expressions);
  for (std::size_t position = 0; position < rules.size();) {
    std::optional<model::Rule> rule = guess(plain[position], table);
    const std::size_t used = rule && refers_to_known_sets(*rule, known_set)
                                 ? count_equal(*rule, plain, position, table)
                                 : 0;
    if (used == 0) rule = opaque_rule(text_of(rules[position].expressions));
    all.push_back(std::move(*rule));
    position += std::max<std::size_t>(used, 1);
  }
  return all;
}

sluice::nft::Rule opaque_rule(const std::string& text) {
  std::string line = "-j " + printable(text);
  if (line.size() > longest_opaque) line = line.substr(0, longest_opaque) + "...";
  model::Rule rule;
  rule.rule.target = Opaque{std::move(line)};
  return rule;
}

}  // namespace sluice::kernel::nft

// SPDX-License-Identifier: GPL-2.0-or-later
// Rules as nf_tables' expressions and back, without the kernel.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include <linux/netfilter/nf_tables.h>

#include "rules/error.h"
#include "rules/kernel/nft/attribute.h"
#include "rules/kernel/nft/comparison.h"
#include "rules/kernel/nft/rule.h"
#include "rules/text.h"
#include "tests/kernel/random_rule.h"
#include "tests/kernel/seed.h"

namespace sluice::kernel::nft {
namespace {

using ModelRule = sluice::nft::Rule;

const KnownSet any_set = [](const std::string& /*name*/, std::optional<Family> /*family*/) {
  return true;
};

std::vector<ModelRule> through_expressions(const ModelRule& rule, Table table) {
  std::vector<RuleObject> objects = encode_rule(rule, table);
  for (RuleObject& object : objects) {
    object.expressions = read_expressions(write_expressions(object.expressions));
  }
  return decode_rules(objects, table, any_set);
}

void check_kept(const ModelRule& rule, Table table = Table::mangle) {
  INFO(to_string("CHAIN", rule.rule));
  CHECK(through_expressions(rule, table) == std::vector<ModelRule>{rule});
}

void check_kept(const Rule& rule, Table table = Table::mangle) {
  check_kept(ModelRule{.rule = rule}, table);
}

Rule tcp_with(Match match) {
  return {.protocol = Protocol::tcp, .matches = {std::move(match)}};
}

void check_refused(const ModelRule& rule, const std::string& message) {
  CHECK_THROWS_WITH(encode_rule(rule, Table::mangle), Catch::Contains(message));
}

Bytes user_data_of(const std::string& comment) {
  return encode_rule({.rule = {.target = Return{}}, .comment = comment}, Table::nat)
      .front()
      .user_data;
}

TEST_CASE("a comment is laid out as nft(8) has always read it") {
  // NFTNL_UDATA_RULE_COMMENT; a length of one byte, which counts the NUL.
  CHECK(user_data_of("ab") == Bytes{0, 3, 'a', 'b', 0});
  CHECK(user_data_of("").empty());
  // NFTNL_UDATA_COMMENT_MAXLEN is 128.
  const std::string longest(127, 'x');
  const Bytes whole = user_data_of(longest);
  CHECK(whole.size() == 130);
  CHECK(whole[1] == 128);
  CHECK(std::string(whole.begin() + 2, whole.end() - 1) == longest);
  CHECK(whole.back() == 0);
  CHECK_THROWS_WITH(user_data_of(longest + "x"), Catch::EndsWith("is longer than 127 bytes"));
}

TEST_CASE("every match comes back from nf_tables' expressions") {
  for (const bool negated : {false, true}) {
    check_kept({.in = Interface{.name = "lo", .negated = negated}});
    check_kept({.out = Interface{.name = "eth+", .negated = negated}});
    for (const PortRange ports : {PortRange{80, 80}, PortRange{0, 65534}}) {
      check_kept(tcp_with(Tcp{.source = PortMatch{ports, negated}}));
      check_kept(tcp_with(Tcp{.destination = PortMatch{ports, negated}}));
    }
    check_kept(tcp_with(Tcp{.flags = TcpFlags{.mask = 0x17, .compare = 2, .negated = negated}}));
    check_kept({.matches = {Owner{.uid = OwnerRange{1337, 1337, negated}}}});
    check_kept({.matches = {Owner{.uid = OwnerRange{0, 4294967294, negated},
                                  .gid = OwnerRange{1, 2, negated}}}});
    check_kept({.matches = {Mark{.value = 0x539, .negated = negated}}});
    check_kept({.matches = {Mark{.value = 1, .mask = 0xff, .negated = negated}}});
    check_kept({.matches = {Connmark{.value = 1, .mask = 0xff, .negated = negated}}});
    check_kept({.matches = {Conntrack{.states = Conntrack::invalid, .negated = negated}}});
    check_kept({.matches = {Conntrack{.states = Conntrack::related | Conntrack::untracked,
                                      .negated = negated}}});
  }
  check_kept({.matches = {Conntrack{.direction = Conntrack::Direction::reply}}});
  check_kept({.matches = {Limit{.period = 1000, .burst = 7}}});
  check_kept({.matches = {Limit{.period = 600'000, .burst = 1}}});
  check_kept(tcp_with(Multiport{.destinations = {{80, 80}, {443, 445}, {9, 9}}, .negated = true}));
  check_kept({.protocol = static_cast<Protocol>(200)});
}

TEST_CASE("addresses come back from nf_tables' expressions") {
  for (const std::string text : {"10.0.0.1/32", "10.0.0.0/8", "10.128.0.0/9", "0.0.0.0/0",
                                 "::1/128", "fd00::/8", "fd00::/9", "fd00::/127", "::/0"}) {
    const Cidr cidr = parse_cidr(text);
    for (const bool negated : {false, true}) {
      const AddressMatch match{.cidr = cidr, .negated = negated};
      check_kept(ModelRule{.family = cidr.address.family, .rule = {.source = match}});
      check_kept(ModelRule{.family = cidr.address.family, .rule = {.destination = match}});
    }
  }
  check_kept(ModelRule{.family = Family::ipv6, .rule = {}, .source_set = "s"});
  check_kept(ModelRule{.family = Family::ipv4, .rule = {}, .destination_set = "s"});
  check_kept(ModelRule{.rule = {.protocol = Protocol::udp}, .port_set = "s"});
}

TEST_CASE("every target comes back from nf_tables' expressions") {
  const std::vector<Target> targets{Accept{},
                                    Drop{},
                                    Return{},
                                    Jump{.chain = "A"},
                                    Jump{.chain = "A", .go_to = true},
                                    Redirect{15001},
                                    RejectWithTcpReset{},
                                    RejectWithPortUnreachable{},
                                    SetMark{.value = 1},
                                    SetMark{.value = 5, .mask = 0xff},
                                    SetMark{.value = 0, .mask = 0},
                                    SetMark{.value = 5, .mask = 0},
                                    SetMark{.value = 0x105, .mask = 0xff},
                                    SaveMark{},
                                    RestoreMark{},
                                    CtZone{.zone = 7},
                                    Nflog{.group = 3, .prefix = "a b"},
                                    Nflog{.group = 0}};
  for (const Target& target : targets) {
    check_kept({.protocol = Protocol::tcp, .target = target});
    check_kept({.target = target}, Table::nat);
  }
}

TEST_CASE("a tproxy is two rules of nf_tables") {
  const Tproxy plain{.port = 15006, .mark = 0x539};
  for (const std::optional<Family> family :
       {std::optional<Family>(), std::optional(Family::ipv6)}) {
    check_kept(ModelRule{.family = family, .rule = {.protocol = Protocol::tcp, .target = plain}});
  }
  Tproxy addressed = plain;
  addressed.address = parse_address("::1");
  addressed.mask = 0xff;
  const ModelRule rule{.family = Family::ipv6,
                       .rule = {.protocol = Protocol::tcp, .target = addressed}};
  check_kept(rule);
  std::vector<RuleObject> objects = encode_rule(rule, Table::mangle);
  REQUIRE(objects.size() == 2);
  // Without the second rule it lets pass what iptables' target drops.
  objects.pop_back();
  const std::vector<ModelRule> decoded = decode_rules(objects, Table::mangle, any_set);
  REQUIRE(decoded.size() == 1);
  CHECK(std::holds_alternative<Opaque>(decoded[0].rule.target));
  check_refused({.family = Family::ipv4, .rule = {.target = addressed}}, "another family");
  check_refused({.rule = {.target = Tproxy{}}}, "tproxy needs a port");
}

TEST_CASE("what nf_tables cannot hold is refused") {
  const Match port = Tcp{.destination = PortMatch{{80, 80}}};
  check_refused({.rule = {.matches = {port}}}, "without its protocol");
  check_refused({.rule = {.protocol = Protocol::udp, .matches = {port}}}, "without its protocol");
  check_refused({.rule = {.protocol = Protocol::icmp}, .port_set = "s"}, "without its protocol");
  check_refused({.rule = tcp_with(Multiport{.destinations = {{1, 1}, {3, 3}}})}, "without a set");
  check_refused({.rule = tcp_with(Multiport{.negated = true})}, "without a set");
  check_refused({.rule = {.matches = {Limit{.period = 3333}}}}, "exactly one packet in 3333");
  check_refused({.rule = {.matches = {Limit{.period = 0}}}}, "exactly one packet in 0");
  check_refused({.rule = {.matches = {Limit{.period = 1000, .burst = 0}}}}, "burst of 0");
  check_refused({.rule = {.matches = {Conntrack{.states = 64}}}}, "connection states 64");
  check_refused({.rule = {.matches = {Opaque{"-m x"}}}}, "match \"-m x\" cannot be written");
  check_refused({.rule = {.target = Opaque{"-j x"}}}, "target \"-j x\" cannot be written");
  check_refused({.rule = {.target = Nflog{.prefix = "a\nb"}}}, "cannot be logged");
  check_refused({.rule = {.in = Interface{.name = "+"}}}, "interface \"+\"");
  check_refused({.rule = {.in = Interface{.name = "sixteen-bytes-it"}}}, "interface \"sixteen");
  check_refused({.rule = {}, .source_set = "s"}, "without a family");
  check_refused({.rule = {}, .comment = std::string(128, 'x')}, "longer than 127 bytes");
  const AddressMatch match{.cidr = parse_cidr("10.0.0.0/8")};
  check_refused({.family = Family::ipv6, .rule = {.source = match}}, "the other family");
  check_refused({.family = Family::ipv4, .rule = {.source = match}, .source_set = "s"},
                "beside an address");
}

TEST_CASE("a rule of many groups shares what it loads") {
  Rule rule;
  for (std::uint32_t gid = 0; gid < 64; ++gid) {
    rule.matches.emplace_back(Owner{.gid = OwnerRange{2 * gid, 2 * gid, true}});
  }
  check_kept(rule);
  CHECK(encode_rule({.rule = rule}, Table::nat)[0].expressions.size() < most_expressions);
  for (std::uint32_t gid = 0; gid < 64; ++gid) {
    rule.matches.emplace_back(Owner{.gid = OwnerRange{gid, gid + 1, true}});
  }
  check_refused({.rule = rule}, "longer than nf_tables' 128");
}

// Of a rule whose expressions were changed.
bool is_opaque(const Expressions& expressions) {
  const auto rules = decode_rules({{.expressions = expressions}}, Table::nat, any_set);
  REQUIRE(rules.size() == 1);
  return std::holds_alternative<Opaque>(rules[0].rule.target);
}

TEST_CASE("a rule with one expression changed, gone or twice is another rule or opaque") {
  INFO("SLUICE_SEED=" << test_seed());
  Random random(test_seed() + 5);
  int opaque = 0;
  for (int round = 0; round < 300; ++round) {
    const Family family = one_in(random, 2) ? Family::ipv4 : Family::ipv6;
    ModelRule rule{.family = family, .rule = RandomRules(family, random()).next(Table::mangle)};
    std::vector<RuleObject> objects;
    try {
      objects = encode_rule(rule, Table::mangle);
    } catch (const Error&) {
      continue;
    }
    Expressions changed = objects[0].expressions;
    const auto place = pick<std::size_t>(random, 0, changed.size() - 1);
    if (one_in(random, 2)) {
      changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(place));
    } else {
      changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(place),
                     pick_of(random, objects[0].expressions));
    }
    const auto decoded = decode_rules({{.expressions = changed}}, Table::mangle, any_set);
    REQUIRE(decoded.size() == 1);
    if (std::holds_alternative<Opaque>(decoded[0].rule.target)) {
      ++opaque;
    } else {
      const auto again = encode_rule(decoded[0], Table::mangle);
      CHECK(spelled_out(again[0].expressions) == spelled_out(changed));
    }
  }
  CHECK(opaque > 0);
}

TEST_CASE("no attribute is overlooked") {
  // As the kernel lists it, with one attribute more.
  const auto with = [](const char* name, unsigned known, unsigned extra) {
    Bytes bytes;
    AttributeWriter writer(bytes);
    const std::size_t element = writer.begin(NFTA_LIST_ELEM);
    writer.put_string(NFTA_EXPR_NAME, name);
    const std::size_t data = writer.begin(NFTA_EXPR_DATA);
    for (unsigned type = 1; type <= known; ++type) writer.put_u32(type, 1);
    if (extra != 0) writer.put_u32(extra, 1);
    writer.end(data);
    writer.end(element);
    return read_expressions(bytes);
  };
  CHECK(with("meta", 2, 0) == Expressions{expr::Meta{.key = 1, .reg = 1}});
  for (const unsigned extra : {unsigned{NFTA_META_SREG}, 9U, 31U, 32U, 200U}) {
    CHECK(name_of(with("meta", 2, extra)[0]) == "meta");
    CHECK(std::holds_alternative<expr::Unknown>(with("meta", 2, extra)[0]));
  }
  CHECK(std::holds_alternative<expr::Unknown>(with("lookup", 2, NFTA_LOOKUP_DREG)[0]));
  CHECK(std::holds_alternative<expr::Unknown>(with("objref", 1, 0)[0]));
}

TEST_CASE("a counter does not hide what stands behind a verdict") {
  const expr::Verdict accept{.code = 1, .chain = {}};
  CHECK_FALSE(is_opaque({expr::Counter{}, accept}));
  CHECK(is_opaque({expr::Counter{}, accept, accept}));
  CHECK(is_opaque({accept, expr::Counter{}, accept}));
  CHECK(is_opaque({expr::Counter{}}));
  CHECK(is_opaque({}));
  CHECK(is_opaque({expr::Counter{}, expr::Verdict{.code = -7, .chain = {}}}));
  CHECK(is_opaque({expr::Counter{}, expr::Verdict{.code = NFT_JUMP, .chain = "X-raw"}}));
}

}  // namespace
}  // namespace sluice::kernel::nft

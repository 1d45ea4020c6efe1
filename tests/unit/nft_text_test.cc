// SPDX-License-Identifier: GPL-2.0-or-later
// What nft itself makes of these texts is asked in tests/cli/nft_test.py.
#include <catch2/catch.hpp>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "rules/nft/text.h"
#include "rules/nft/translate.h"
#include "rules/text.h"
#include "tests/unit/thrown.h"

namespace sluice::nft {
namespace {

using Texts = std::vector<std::string>;

Table one(Rule rule, sluice::Table table = sluice::Table::nat) {
  return {.name = "t", .chains = {{.table = table, .name = "X", .rules = {std::move(rule)}}}};
}

// The lines of the rule.
Texts lines_of(const Rule& rule, sluice::Table table = sluice::Table::nat) {
  const std::string text = to_text(one(rule, table));
  Texts lines;
  for (std::size_t at = text.find("\n\t\t"); at != std::string::npos;
       at = text.find("\n\t\t", at)) {
    at += 3;
    lines.push_back(text.substr(at, text.find('\n', at) - at));
  }
  return lines;
}

// A rule as iptables spells it, in one family.
std::string line_of(const std::string& rule, std::optional<Family> family = std::nullopt) {
  const std::string text = "*nat\n:X - [0:0]\n-A X " + rule + "\nCOMMIT\n";
  const Family first = family.value_or(Family::ipv4);
  const sluice::Rule read =
      parse_save(text, first).front().tables.front().chains.front().rules.front();
  const Texts lines = lines_of({.family = family, .rule = read});
  REQUIRE(lines.size() == 1);
  return lines.front();
}

Texts lines_of(sluice::Target target) {
  return lines_of(Rule{.rule = {.target = std::move(target)}});
}

TEST_CASE("nft text: a whole table", "[nft]") {
  Table table{.name = "t"};
  table.sets = {
      {.name = "p", .ports = {{1, 1}, {3, 5}, {7, 7}, {9, 9}, {11, 11}, {13, 13}}},
      {.name = "a-v4",
       .family = Family::ipv4,
       .cidrs = {parse_cidr("10.0.0.0/8"), parse_cidr("12.0.0.1/32"), parse_cidr("13.0.0.0/8")}},
      {.name = "a-v6",
       .family = Family::ipv6,
       .cidrs = {parse_cidr("::1/128"), parse_cidr("fd00::/8")}},
      {.name = "none"}};
  table.chains = {{.table = sluice::Table::mangle, .name = "OUTPUT"},
                  {.name = "PREROUTING", .rules = {{.comment = "c"}}},
                  {.table = sluice::Table::raw, .name = "X"}};
  CHECK(to_text(table) == R"(table inet t
delete table inet t
table inet t {
	set p {
		type inet_service
		flags interval
		elements = { 1, 3-5, 7, 9, 11,
			     13 }
	}

	set a-v4 {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8, 12.0.0.1,
			     13.0.0.0/8 }
	}

	set a-v6 {
		type ipv6_addr
		flags interval
		elements = { ::1,
			     fd00::/8 }
	}

	set none {
		type inet_service
		flags interval
	}

	chain output-mangle {
		type route hook output priority mangle; policy accept;
	}

	chain prerouting-nat {
		type nat hook prerouting priority dstnat; policy accept;
		counter return comment "c"
	}

	chain X-raw {
	}
}
)");
  CHECK(to_text(Table{.name = "t"}) == "table inet t\ndelete table inet t\ntable inet t {\n}\n");
}

TEST_CASE("nft text: base chains", "[nft]") {
  const auto base = [](sluice::Table table, const std::string& chain) {
    const std::string text = to_text(Table{.chains = {{.table = table, .name = chain}}});
    const std::size_t at = text.find("type ");
    return text.substr(at, text.find(';') - at);
  };
  using enum sluice::Table;
  CHECK(base(raw, "PREROUTING") == "type filter hook prerouting priority raw");
  CHECK(base(mangle, "POSTROUTING") == "type filter hook postrouting priority mangle");
  CHECK(base(nat, "INPUT") == "type nat hook input priority 100");
  CHECK(base(nat, "OUTPUT") == "type nat hook output priority -100");
  CHECK(base(nat, "POSTROUTING") == "type nat hook postrouting priority srcnat");
  CHECK(base(filter, "FORWARD") == "type filter hook forward priority filter");
}

TEST_CASE("nft text: family, addresses, interfaces, protocol", "[nft]") {
  CHECK(line_of("-j RETURN") == "counter return");
  CHECK(line_of("-j RETURN", Family::ipv6) == "meta nfproto ipv6 counter return");
  CHECK(line_of("-s 10.0.0.0/8 ! -d 10.1.2.3/32 -j RETURN", Family::ipv4) ==
        "ip saddr 10.0.0.0/8 ip daddr != 10.1.2.3 counter return");
  CHECK(line_of("-d fd00::/8 -j RETURN", Family::ipv6) == "ip6 daddr fd00::/8 counter return");
  CHECK(line_of("-i eth0 ! -o eth+ -j RETURN") ==
        R"(iifname "eth0" oifname != "eth*" counter return)");
  CHECK(line_of("-p tcp -j RETURN") == "meta l4proto tcp counter return");
  CHECK(line_of("-p ipv6-icmp -j RETURN") == "meta l4proto ipv6-icmp counter return");
}

TEST_CASE("nft text: ports, flags, owners", "[nft]") {
  CHECK(line_of("-p tcp -m tcp --sport 1:9 ! --dport 80 -j DROP") ==
        "tcp sport 1-9 tcp dport != 80 counter drop");
  CHECK(line_of("-p udp -m udp --dport 53 -j DROP") == "udp dport 53 counter drop");
  CHECK(line_of("-p tcp -m owner --uid-owner 7 -m multiport ! --dports 53,80:90 -j DROP") ==
        "meta skuid 7 tcp dport != 53 tcp dport != 80-90 counter drop");
  CHECK(line_of("-m owner --uid-owner 1-2 ! --gid-owner 3 -j DROP") ==
        "meta skuid 1-2 meta skgid != 3 counter drop");
  CHECK(line_of("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP") ==
        "tcp flags syn / fin,syn,rst,ack counter drop");
  CHECK(line_of("-p tcp -m tcp ! --tcp-flags FIN,SYN FIN,SYN -j DROP") ==
        "tcp flags != fin,syn / fin,syn counter drop");
  CHECK(line_of("-p tcp -m tcp --tcp-flags SYN SYN -j DROP") ==
        "tcp flags & syn == syn counter drop");
  CHECK(line_of("-p tcp -m tcp --tcp-flags FIN,SYN NONE -j DROP") ==
        "tcp flags ! fin,syn counter drop");
  CHECK(line_of("-p tcp -m tcp ! --tcp-flags FIN,SYN NONE -j DROP") ==
        "tcp flags fin,syn counter drop");
}

TEST_CASE("nft text: many groups are a set", "[nft]") {
  Rule rule;
  for (std::uint32_t gid = 61; gid > 1; --gid) {
    rule.rule.matches.emplace_back(Owner{.gid = OwnerRange{gid, gid, true}});
  }
  const std::string few = lines_of(rule).front();
  CHECK(few.find("meta skgid != 61 meta skgid != 60 ") == 0);
  rule.rule.matches.emplace_back(Owner{.gid = OwnerRange{1, 1, true}});
  rule.rule.matches.emplace_back(Owner{.gid = OwnerRange{7, 7}});
  const std::string many = lines_of(rule).front();
  CHECK(many.find("meta skgid != { 1, 2, 3, ") == 0);
  CHECK(many.substr(many.find("60, ")) == "60, 61 } meta skgid 7 counter return");
}

TEST_CASE("nft text: marks, connections, limits", "[nft]") {
  CHECK(line_of("-m mark --mark 0x539 -j DROP") == "meta mark 0x00000539 counter drop");
  CHECK(line_of("-m mark ! --mark 0x1/0xff -j DROP") ==
        "meta mark & 0x000000ff != 0x00000001 counter drop");
  CHECK(line_of("-m connmark ! --mark 0x1 -j DROP") == "ct mark != 0x00000001 counter drop");
  CHECK(line_of("-m conntrack --ctstate RELATED,ESTABLISHED -j DROP") ==
        "ct state established,related counter drop");
  CHECK(line_of("-m conntrack ! --ctstate NEW,UNTRACKED -j DROP") ==
        "ct state ! new,untracked counter drop");
  CHECK(line_of("-m conntrack ! --ctstate INVALID -j DROP") == "ct state != invalid counter drop");
  CHECK(line_of("-m conntrack --ctstate NEW --ctdir REPLY -j DROP") ==
        "ct state new ct direction reply counter drop");
  CHECK(line_of("-m limit --limit 10/sec --limit-burst 20 -j DROP") ==
        "limit rate 10/second burst 20 packets counter drop");
  const auto limit = [](std::uint32_t period) {
    return lines_of(Rule{.rule = {.matches = {Limit{.period = period}}, .target = Drop{}}});
  };
  CHECK(limit(1) == Texts{"limit rate 10000/second counter drop"});
  CHECK(limit(600'000) == Texts{"limit rate 1/minute counter drop"});
  CHECK(limit(864'000'000) == Texts{"limit rate 1/day counter drop"});
  CHECK(limit(3'024'000'000) == Texts{"limit rate 2/week counter drop"});
}

TEST_CASE("nft text: targets", "[nft]") {
  CHECK(lines_of(Accept{}) == Texts{"counter accept"});
  CHECK(lines_of(Jump{"Y"}) == Texts{"counter jump Y"});
  CHECK(lines_of(Rule{.rule = {.target = Jump{"Y", true}}}, sluice::Table::filter) ==
        Texts{"counter goto Y-filter"});
  CHECK(lines_of(Redirect{15001}) == Texts{"counter redirect to :15001"});
  CHECK(lines_of(RejectWithTcpReset{}) == Texts{"counter reject with tcp reset"});
  CHECK(lines_of(RejectWithPortUnreachable{}) ==
        Texts{"counter reject with icmpx port-unreachable"});
  CHECK(lines_of(SetMark{0x539}) == Texts{"counter meta mark set 0x00000539"});
  CHECK(lines_of(SetMark{0x1, 0xff}) ==
        Texts{"counter meta mark set meta mark & 0xffffff01 | 0x00000001"});
  CHECK(lines_of(SetMark{0x101, 0xff}) ==
        Texts{"counter meta mark set meta mark & 0xffffff01 ^ 0x00000100 | 0x00000001"});
  CHECK(lines_of(SetMark{0x11, 0}) == Texts{"counter meta mark set meta mark ^ 0x00000011"});
  CHECK(lines_of(SaveMark{}) == Texts{"counter ct mark set meta mark"});
  CHECK(lines_of(RestoreMark{}) == Texts{"counter meta mark set ct mark"});
  CHECK(lines_of(CtZone{2}) == Texts{"counter ct zone set 2"});
  CHECK(lines_of(Nflog{.group = 3, .prefix = "a: b"}) ==
        Texts{R"(counter log prefix "a: b" group 3)"});
  CHECK(lines_of(Nflog{}) == Texts{"counter log group 0"});
}

TEST_CASE("nft text: TPROXY drops what finds no socket", "[nft]") {
  Rule rule{.rule = {.protocol = Protocol::tcp, .target = Tproxy{.port = 15006, .mark = 1}},
            .comment = "c"};
  CHECK(
      lines_of(rule) ==
      Texts{
          R"(meta l4proto tcp counter tproxy to :15006 meta mark set 0x00000001 accept comment "c")",
          R"(meta l4proto tcp counter drop comment "c")"});
  rule.comment.clear();
  rule.rule.destination = AddressMatch{.cidr = parse_cidr("::1/128"), .negated = true};
  rule.rule.target = Tproxy{.port = 15006, .mask = 0};
  CHECK(lines_of(rule) ==
        Texts{"ip6 daddr != ::1 meta l4proto tcp counter tproxy ip6 to :15006 accept",
              "ip6 daddr != ::1 meta l4proto tcp counter drop"});
  rule.rule.destination.reset();
  rule.rule.target = Tproxy{.address = parse_address("::2"), .port = 5, .mask = 0};
  CHECK(lines_of(rule).front() == "meta l4proto tcp counter tproxy ip6 to [::2]:5 accept");
}

TEST_CASE("nft text: sets in rules", "[nft]") {
  const sluice::Rule tcp{.protocol = Protocol::tcp};
  CHECK(lines_of(Rule{.rule = tcp, .port_set = "p"}) == Texts{"tcp dport @p counter return"});
  CHECK(lines_of(Rule{.family = Family::ipv4, .rule = tcp, .source_set = "a"}) ==
        Texts{"ip saddr @a meta l4proto tcp counter return"});
  CHECK(lines_of(Rule{
            .family = Family::ipv6, .rule = {.out = Interface{"lo"}}, .destination_set = "a"}) ==
        Texts{R"(ip6 daddr @a oifname "lo" counter return)"});
  CHECK_THROWS_AS(lines_of(Rule{.rule = tcp, .source_set = "a"}), Error);
  CHECK_THROWS_AS(lines_of(Rule{.port_set = "p"}), Error);
}

int errno_of(const Rule& rule) {
  return thrown_by([&] { to_text(one(rule)); }).code().value();
}

TEST_CASE("nft text: what nf_tables has no equal of", "[nft]") {
  const std::vector<Match> matches{
      Opaque{"-m x"},
      Multiport{.destinations = {{1, 1}}},
      Multiport{.destinations = {{1, 1}}, .negated = true},  // of no protocol
      Limit{.period = 11},
      Limit{.period = 0},
      Limit{.period = 10, .burst = 0},
      Conntrack{.states = 64},
      Conntrack{.states = Conntrack::invalid, .direction = Conntrack::Direction::reply},
      Mark{.value = 2, .mask = 1},
      Connmark{.value = 0, .mask = 0},
      Tcp{.flags = TcpFlags{.mask = 64, .compare = 64}},
      Tcp{.flags = TcpFlags{.mask = 1, .compare = 2}}};
  for (std::size_t i = 0; i < matches.size(); ++i) {
    CAPTURE(i);
    CHECK(errno_of({.rule = {.matches = {matches[i]}}}) == ENOTSUP);
  }
  CHECK(errno_of({.rule = {.target = Opaque{"-j LOG\n"}}}) == ENOTSUP);
  CHECK(message_of([] { to_text(one({.rule = {.target = Opaque{"-j LOG\n"}}})); }) ==
        R"(nf_tables has no equal of "-j LOG\x0a")");
}

// Else a name could end the rule and begin another.
TEST_CASE("nft text: what nft would read as something else", "[nft]") {
  for (const char* name : {"", "+", "a*", "*", "a\"", "a\\", "a\n", "a$b", "\xc3\xa9"}) {
    CAPTURE(name);
    CHECK(errno_of({.rule = {.in = Interface{name}}}) == EINVAL);
    CHECK(errno_of({.rule = {.out = Interface{name}}}) == EINVAL);
  }
  for (const char* text : {"a\" accept #", "a\n", "$x", "\\"}) {
    CAPTURE(text);
    CHECK(errno_of({.rule = {.target = Nflog{.prefix = text}}}) == EINVAL);
    CHECK(errno_of({.comment = text}) == EINVAL);
  }
  CHECK(errno_of({.comment = std::string(128, 'c')}) == EINVAL);
  CHECK_NOTHROW(to_text(one({.comment = std::string(127, 'c')})));
  for (const char* name : {"", "a b", "1", "a;b", "a}", "-a"}) {
    CAPTURE(name);
    CHECK(errno_of({.rule = {.target = Jump{name}}}) == EINVAL);
    CHECK(errno_of({.rule = {.protocol = Protocol::tcp},
                    .port_set = "a" + std::string(name) + " "}) == EINVAL);
    CHECK_THROWS_AS(to_text(Table{.name = name}), Error);
    CHECK_THROWS_AS(to_text(Table{.sets = {{.name = name}}}), Error);
    CHECK_THROWS_AS(to_text(Table{.chains = {{.name = name}}}), Error);
  }
  // A word of nft's own.
  CHECK_THROWS_AS(to_text(Table{.chains = {{.name = "accept"}}}), Error);
  CHECK(errno_of({.rule = {.matches = {Owner{.uid = OwnerRange{2, 1}}}}}) == EINVAL);
}

}  // namespace
}  // namespace sluice::nft

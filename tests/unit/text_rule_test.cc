// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/text_rule.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rules/text.h"
#include "tests/unit/thrown.h"

namespace sluice {
namespace {

Rule parse(const std::string& text) {
  return parse_rule(split_words(text), 0, {"MINE"});
}

TEST_CASE("text_rule: words are split at blanks outside of quotes", "[text_rule]") {
  CHECK(split_words("").empty());
  CHECK(split_words("  ").empty());
  CHECK(split_words("a") == Words{"a"});
  CHECK(split_words(" a  b ") == Words{"a", "b"});
  CHECK(split_words(R"(a "b c" d)") == Words{"a", R"("b c")", "d"});
  CHECK(split_words(R"("a \" b" c)") == Words{R"("a \" b")", "c"});
  CHECK(split_words(R"("a \\" b)") == Words{R"("a \\")", "b"});
  CHECK(split_words(R"(a"b c"d)") == Words{R"(a"b c"d)"});
  CHECK(split_words(R"("")") == Words{R"("")"});
  // Only in quotes does a backslash protect what follows it.
  CHECK(split_words(R"(a\ b)") == Words{R"(a\)", "b"});
  for (const char* text : {R"(")", R"(a "b)", R"("a\")", R"("a" ")"}) {
    CAPTURE(text);
    CHECK(message_of([&] { split_words(text); }) == "a quote is not closed");
  }
}

TEST_CASE("text_rule: header options, negated or not", "[text_rule]") {
  const Rule rule = parse("! -s 10.0.0.0/8 -d 10.0.0.1 ! -i eth+ -o lo -p tcp -j RETURN");
  CHECK(rule == Rule{.source = AddressMatch{.cidr = parse_cidr("10.0.0.0/8"), .negated = true},
                     .destination = AddressMatch{.cidr = parse_cidr("10.0.0.1/32")},
                     .in = Interface{.name = "eth+", .negated = true},
                     .out = Interface{.name = "lo"},
                     .protocol = Protocol::tcp});
  CHECK(parse("-d ::1 -j RETURN").destination == AddressMatch{.cidr = parse_cidr("::1/128")});
}

TEST_CASE("text_rule: protocols by name and number", "[text_rule]") {
  const std::vector<std::pair<std::string, Protocol>> known{
      {"tcp", Protocol::tcp},          {"6", Protocol::tcp},
      {"udp", Protocol::udp},          {"17", Protocol::udp},
      {"icmp", Protocol::icmp},        {"1", Protocol::icmp},
      {"ipv6-icmp", Protocol::icmpv6}, {"icmpv6", Protocol::icmpv6},
      {"58", Protocol::icmpv6},        {"132", static_cast<Protocol>(132)}};
  for (const auto& [name, protocol] : known) {
    CAPTURE(name);
    CHECK(parse("-p " + name + " -j RETURN").protocol == protocol);
  }
  // A name that is not known and a negated protocol cannot be said in the model.
  for (const char* text : {"-p sctp", "! -p tcp"}) {
    CAPTURE(text);
    const Rule rule = parse(std::string(text) + " -j RETURN");
    CHECK_FALSE(rule.protocol.has_value());
    CHECK(rule.matches == std::vector<Match>{Opaque{text}});
  }
}

TEST_CASE("text_rule: tcp and udp", "[text_rule]") {
  const auto match = [](const std::string& text) {
    return parse(text + " -j RETURN").matches.at(0);
  };
  CHECK(match("-p tcp -m tcp") == Match(Tcp{}));
  CHECK(match("-p tcp -m tcp --sport 1:2 ! --dport 80") ==
        Match(Tcp{.source = PortMatch{.ports = {1, 2}},
                  .destination = PortMatch{.ports = {80, 80}, .negated = true}}));
  CHECK(match("-p tcp -m tcp ! --tcp-flags SYN,ACK NONE") ==
        Match(Tcp{.flags = TcpFlags{.mask = 0x12, .compare = 0, .negated = true}}));
  CHECK(match("-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG URG") ==
        Match(Tcp{.flags = TcpFlags{.mask = 0x3f, .compare = 0x20}}));
  CHECK(match("-p udp -m udp ! --sport 53 --dport 1024:65535") ==
        Match(Udp{.source = PortMatch{.ports = {53, 53}, .negated = true},
                  .destination = PortMatch{.ports = {1024, 65535}}}));
  for (const char* text :
       {"-m tcp --tcp-option 5", "-m tcp --dport 80 --tcp-option 5", "-m tcp --tcp-flags SYN",
        "-m tcp --tcp-flags SYN,ECE SYN", "-m tcp --dport", "-m tcp --bogus 1", "-m udp --bogus 1",
        "-m udp --dport", "-m udp !"}) {
    CAPTURE(text);
    CHECK(match(text) == Match(Opaque{text}));
  }
}

TEST_CASE("text_rule: owners", "[text_rule]") {
  const auto match = [](const std::string& text) {
    return parse(text + " -j RETURN").matches.at(0);
  };
  CHECK(match("-m owner --uid-owner 1337") == Match(Owner{.uid = OwnerRange{1337, 1337}}));
  CHECK(match("-m owner ! --uid-owner 1-2 --gid-owner 4294967295") ==
        Match(Owner{.uid = OwnerRange{1, 2, true}, .gid = OwnerRange{4294967295, 4294967295}}));
  for (const char* text : {"-m owner --socket-exists", "-m owner ! --socket-exists --uid-owner 5",
                           "-m owner --uid-owner", "-m owner --suppl-groups --gid-owner 5"}) {
    CAPTURE(text);
    CHECK(match(text) == Match(Opaque{text}));
  }
  CHECK_THROWS_AS(match("-m owner --uid-owner 4294967296"), Error);
  CHECK_THROWS_AS(match("-m owner --uid-owner 1-"), Error);
}

// iptables-save prints none of these; what is not understood must not turn into its opposite.
TEST_CASE("text_rule: a negation that the model cannot say is not lost", "[text_rule]") {
  for (const char* text :
       {"! -m owner --uid-owner 5", "! -j RETURN", "! -g MINE", "! -f", "-f", "!", "-i eth0 !"}) {
    CAPTURE(text);
    CHECK(to_string("X", parse(text)) == std::string("-A X ") + text);
  }
  CHECK(parse("! -j RETURN").target != Target(Return{}));
}

TEST_CASE("text_rule: targets", "[text_rule]") {
  const std::vector<std::pair<std::string, Target>> cases{
      {"-j ACCEPT", Accept{}},
      {"-j DROP", Drop{}},
      {"-j RETURN", Return{}},
      {"-j MINE", Jump{"MINE"}},
      {"-j THEIRS", Opaque{"-j THEIRS"}},
      {"-j MINE --option", Opaque{"-j MINE --option"}},
      {"-j RETURN --option", Opaque{"-j RETURN --option"}},
      {"-g MINE", Jump{.chain = "MINE", .go_to = true}},
      {"-j REDIRECT --to-ports 15001", Redirect{15001}},
      {"-j REDIRECT", Opaque{"-j REDIRECT"}},
      {"-j REDIRECT --to-ports 1-2", Opaque{"-j REDIRECT --to-ports 1-2"}},
      {"-j REDIRECT --to-ports 1 --random", Opaque{"-j REDIRECT --to-ports 1 --random"}},
      {"-j REJECT --reject-with tcp-reset", RejectWithTcpReset{}},
      {"-j REJECT --reject-with icmp-port-unreachable", RejectWithPortUnreachable{Family::ipv4}},
      {"-j REJECT --reject-with icmp6-port-unreachable", RejectWithPortUnreachable{Family::ipv6}},
      {"-j REJECT --reject-with icmp-host-unreachable",
       Opaque{"-j REJECT --reject-with icmp-host-unreachable"}},
      {"-j MARK --set-xmark 0x1/0xffffffff", SetMark{.value = 1}},
      {"", Opaque{}},
  };
  for (const auto& [text, target] : cases) {
    CAPTURE(text);
    const Rule rule = parse(text);
    CHECK(rule == Rule{.target = target});
    CHECK(to_string("X", rule) == (text.empty() ? "-A X" : "-A X " + text));
  }
}

}  // namespace
}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/text_rule.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rules/text.h"

namespace sluice {
namespace {

Rule parse(const std::string& text) {
  return parse_rule(split_words(text), 0, {"MINE"});
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

// iptables-save prints none of these; what is not understood must not turn into its opposite.
TEST_CASE("text_rule: a negation that the model cannot say is not lost", "[text_rule]") {
  for (const char* text :
       {"! -m owner --uid-owner 5", "! -j RETURN", "! -g MINE", "! -f", "-f", "!", "-i eth0 !"}) {
    CAPTURE(text);
    CHECK(to_string("X", parse(text)) == std::string("-A X ") + text);
  }
  CHECK(parse("! -j RETURN").target != Target(Return{}));
}

}  // namespace
}  // namespace sluice

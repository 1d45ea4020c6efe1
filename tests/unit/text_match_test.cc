// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/text_match.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rules/text.h"
#include "rules/text_rule.h"
#include "tests/unit/thrown.h"

namespace sluice {
namespace {

Match match(const std::string& text) {
  return parse_rule(split_words(text + " -j RETURN"), 0, {}).matches.at(0);
}

// Each of them is understood as it stands and printed like that again.
void check_known(const std::vector<std::pair<std::string, Match>>& cases) {
  for (const auto& [text, known] : cases) {
    CAPTURE(text);
    CHECK(match(text) == known);
    CHECK(to_string("X", {.matches = {known}}) == "-A X " + text + " -j RETURN");
  }
}

// None of them can be said in the model, and none is lost.
void check_opaque(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    CAPTURE(text);
    CHECK(match(text) == Match(Opaque{text}));
  }
}

void check_refused(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    CAPTURE(text);
    CHECK_THROWS_AS(match(text), Error);
  }
}

TEST_CASE("text_match: tcp and udp", "[text_match]") {
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

TEST_CASE("text_match: owners", "[text_match]") {
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

TEST_CASE("text_match: multiport", "[text_match]") {
  check_known({
      {"-m multiport --dports 53", Multiport{.destinations = {{53, 53}}}},
      {"-m multiport ! --dports 53,15008",
       Multiport{.destinations = {{53, 53}, {15008, 15008}}, .negated = true}},
      {"-m multiport --dports 80,0:1,8000:8100",
       Multiport{.destinations = {{80, 80}, {0, 1}, {8000, 8100}}}},
      {"-m multiport --dports 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
       Multiport{.destinations = std::vector<PortRange>(15, {1, 1})}},
      {"-m multiport --dports 1:2,1:2,1:2,1:2,1:2,1:2,1:2,3",
       Multiport{.destinations = {{1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}, {3, 3}}}},
  });
  check_opaque({"-m multiport", "-m multiport --dports", "-m multiport !",
                "-m multiport --sports 53", "-m multiport --ports 53",
                "-m multiport --dports 53 --dports 54", "-m multiport --dports 53 !",
                "-m multiport --dports 2:1",
                // 16 and more ports
                "-m multiport --dports 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
                "-m multiport --dports 1:2,1:2,1:2,1:2,1:2,1:2,1:2,1:2"});
  check_refused({"-m multiport --dports ,", "-m multiport --dports 53,", "-m multiport --dports x",
                 "-m multiport --dports 65536",
                 "-m multiport --dports 1:", "-m multiport --dports 53,,54"});
}

TEST_CASE("text_match: marks of packets and of connections", "[text_match]") {
  check_known({
      {"-m mark --mark 0x539", Mark{.value = 0x539}},
      {"-m mark ! --mark 0x0/0xff", Mark{.value = 0, .mask = 0xff, .negated = true}},
      {"-m mark --mark 0x1/0x0", Mark{.value = 1, .mask = 0}},
      {"-m connmark --mark 0xffffffff", Connmark{.value = 0xffffffff}},
      {"-m connmark ! --mark 0x539/0xfff",
       Connmark{.value = 0x539, .mask = 0xfff, .negated = true}},
  });
  CHECK(match("-m mark --mark 1337") == Match(Mark{.value = 1337}));
  CHECK(match("-m mark --mark 0x1/0xffffffff") == Match(Mark{.value = 1}));
  check_opaque({"-m mark", "-m mark --mark", "-m mark --set-mark 0x1", "-m connmark --ctmark 1",
                "-m mark --mark 0x1 --mark 0x2", "-m connmark !"});
  check_refused({"-m mark --mark 0x", "-m mark --mark 0x1/", "-m connmark --mark 0x100000000",
                 "-m mark --mark -1"});
}

TEST_CASE("text_match: connection states", "[text_match]") {
  check_known({
      {"-m conntrack --ctstate INVALID", Conntrack{.states = Conntrack::invalid}},
      {"-m conntrack ! --ctstate NEW",
       Conntrack{.states = Conntrack::new_connection, .negated = true}},
      {"-m conntrack --ctstate INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED",
       Conntrack{.states = 1 | 8 | 4 | 2 | 256}},
  });
  CHECK(match("-m conntrack --ctdir REPLY") ==
        Match(Conntrack{.direction = Conntrack::Direction::reply}));
  CHECK(match("-m conntrack --ctstate NEW --ctdir ORIGINAL") ==
        Match(Conntrack{.states = Conntrack::new_connection,
                        .direction = Conntrack::Direction::original}));
  CHECK(match("-m conntrack --ctstate ESTABLISHED,RELATED") ==
        match("-m conntrack --ctstate RELATED,ESTABLISHED"));
  check_opaque({"-m conntrack", "-m conntrack --ctstate", "-m conntrack --ctstate SNAT",
                "-m conntrack ! --ctstate NEW,DNAT", "-m conntrack --ctstate new",
                "-m conntrack --ctstate NEW,", "-m conntrack --ctstate ,NEW",
                "-m conntrack --ctproto 6", "-m conntrack --ctdir original",
                "-m conntrack ! --ctdir REPLY", "-m conntrack --ctdir",
                "-m conntrack --ctdir REPLY --ctdir REPLY", "-m state --state NEW"});
}

TEST_CASE("text_match: limits", "[text_match]") {
  check_known({
      {"-m limit --limit 10/sec", Limit{.period = 1000}},
      {"-m limit --limit 10/sec --limit-burst 20", Limit{.period = 1000, .burst = 20}},
      {"-m limit --limit 10000/sec --limit-burst 0", Limit{.period = 1, .burst = 0}},
      {"-m limit --limit 1/sec", Limit{.period = 10'000}},
      {"-m limit --limit 7/min", Limit{.period = 85'714}},
      {"-m limit --limit 3/hour --limit-burst 4294967295",
       Limit{.period = 12'000'000, .burst = 0xffffffff}},
      {"-m limit --limit 2/day", Limit{.period = 432'000'000}},
      {"-m limit --limit inf", Limit{.period = 0}},
  });
  CHECK(match("-m limit --limit-burst 20 --limit 10/sec") ==
        Match(Limit{.period = 1000, .burst = 20}));
  // As iptables-restore rounds it.
  CHECK(match("-m limit --limit 60/min") == Match(Limit{.period = 10'000}));
  check_opaque({"-m limit", "-m limit --limit", "-m limit --limit-burst 5", "-m limit --limit 10",
                "-m limit --limit 10/week", "-m limit --limit 0/sec", "-m limit --limit 10001/sec",
                "-m limit ! --limit 10/sec", "-m limit --limit 10/sec --limit-burst",
                "-m limit --limit 10/sec --bogus 1"});
  check_refused({"-m limit --limit x/sec", "-m limit --limit /sec", "-m limit --limit -1/sec",
                 "-m limit --limit 99999999999/sec", "-m limit --limit 1/sec --limit-burst x"});
}

}  // namespace
}  // namespace sluice

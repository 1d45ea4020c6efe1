// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/text_target.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rules/text.h"
#include "rules/text_rule.h"
#include "tests/unit/thrown.h"

namespace sluice {
namespace {

Rule parse(const std::string& text) {
  return parse_rule(split_words(text), 0, {"MINE"});
}

Target target(const std::string& text) {
  const Rule rule = parse(text);
  CHECK(rule.matches.empty());
  return rule.target;
}

// Each of them is understood as it stands and printed like that again.
void check_known(const std::vector<std::pair<std::string, Target>>& cases) {
  for (const auto& [text, known] : cases) {
    CAPTURE(text);
    CHECK(target(text) == known);
    CHECK(to_string("X", {.target = known}) == "-A X " + text);
  }
}

// None of them can be said in the model, and none is lost.
void check_opaque(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    CAPTURE(text);
    CHECK(target(text) == Target(Opaque{text}));
  }
}

void check_refused(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    CAPTURE(text);
    CHECK_THROWS_AS(target(text), Error);
  }
}

TEST_CASE("text_target: targets", "[text_target]") {
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
      {"", Opaque{}},
  };
  for (const auto& [text, target] : cases) {
    CAPTURE(text);
    const Rule rule = parse(text);
    CHECK(rule == Rule{.target = target});
    CHECK(to_string("X", rule) == (text.empty() ? "-A X" : "-A X " + text));
  }
}

TEST_CASE("text_target: marks of packets", "[text_target]") {
  check_known({
      {"-j MARK --set-xmark 0x539/0xffffffff", SetMark{.value = 0x539}},
      {"-j MARK --set-xmark 0x6/0x3", SetMark{.value = 6, .mask = 3}},
      {"-j MARK --set-xmark 0x1/0x0", SetMark{.value = 1, .mask = 0}},
  });
  CHECK(target("-j MARK --set-mark 1337") == Target(SetMark{.value = 1337}));
  // Unlike --set-xmark it sets the bits of the value whatever the mask.
  CHECK(target("-j MARK --set-mark 0x6/0x3") == Target(SetMark{.value = 6, .mask = 7}));
  check_opaque({"-j MARK", "-j MARK --set-xmark", "-j MARK --and-mark 0x1", "-j MARK --or-mark 0x1",
                "-j MARK --set-xmark 0x1 --set-xmark 0x2", "-j MARK ! --set-xmark 0x1"});
  check_refused({"-j MARK --set-xmark x", "-j MARK --set-mark 0x1/0x100000000"});
}

TEST_CASE("text_target: marks of connections", "[text_target]") {
  check_known({
      {"-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff", SaveMark{}},
      {"-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff", RestoreMark{}},
  });
  CHECK(target("-j CONNMARK --save-mark") == Target(SaveMark{}));
  CHECK(target("-j CONNMARK --restore-mark --mask 0xffffffff") == Target(RestoreMark{}));
  CHECK(target("-j CONNMARK --restore-mark --ctmask 0xffffffff") == Target(RestoreMark{}));
  check_opaque({"-j CONNMARK", "-j CONNMARK --set-xmark 0x1/0xffffffff",
                "-j CONNMARK --set-mark 0x1", "-j CONNMARK --save-mark --mask 0xff",
                "-j CONNMARK --save-mark --nfmask 0xff --ctmask 0xffffffff",
                "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xff",
                "-j CONNMARK --save-mark --left-shift-mark 2", "-j CONNMARK --save-mark --nfmask",
                "-j CONNMARK --save-mark --restore-mark"});
  check_refused({"-j CONNMARK --save-mark --mask x"});
}

TEST_CASE("text_target: TPROXY", "[text_target]") {
  check_known({
      {"-j TPROXY --on-port 15001 --on-ip 0.0.0.0 --tproxy-mark 0x539/0xffffffff",
       Tproxy{.port = 15001, .mark = 0x539}},
      {"-j TPROXY --on-port 0 --on-ip 127.0.0.1 --tproxy-mark 0x0/0x0",
       Tproxy{.address = parse_address("127.0.0.1"), .mask = 0}},
      {"-j TPROXY --on-port 15006 --on-ip :: --tproxy-mark 0x1/0xff",
       Tproxy{.address = parse_address("::"), .port = 15006, .mark = 1, .mask = 0xff}},
  });
  // Without a mark it changes none.
  CHECK(target("-j TPROXY --on-ip ::1 --on-port 1") ==
        Target(Tproxy{.address = parse_address("::1"), .port = 1, .mask = 0}));
  CHECK(target("-j TPROXY --tproxy-mark 0x1 --on-ip ::1 --on-port 1") ==
        Target(Tproxy{.address = parse_address("::1"), .port = 1, .mark = 1}));
  // The family of an address that is not named is not known here.
  check_opaque({"-j TPROXY", "-j TPROXY --on-port 15001", "-j TPROXY --on-ip 0.0.0.0",
                "-j TPROXY --on-port 1 --on-ip", "-j TPROXY --on-port 1 --on-ip :: --bogus 1"});
  check_refused({"-j TPROXY --on-port 65536 --on-ip ::", "-j TPROXY --on-port 1 --on-ip x",
                 "-j TPROXY --on-port 1 --on-ip :: --tproxy-mark x"});
}

TEST_CASE("text_target: zones", "[text_target]") {
  check_known({
      {"-j CT --zone 1", CtZone{1}},
      {"-j CT --zone 65535", CtZone{65535}},
      {"-j CT", CtZone{0}},
  });
  CHECK(target("-j CT --zone 0") == Target(CtZone{0}));
  check_opaque({"-j CT --notrack", "-j NOTRACK", "-j CT --zone mark", "-j CT --zone-orig 1",
                "-j CT --zone-reply 1", "-j CT --zone", "-j CT --zone 1 --ctevents new"});
  check_refused({"-j CT --zone 65536", "-j CT --zone x"});
}

TEST_CASE("text_target: logging", "[text_target]") {
  check_known({
      {"-j NFLOG", Nflog{}},
      {"-j NFLOG --nflog-group 1", Nflog{.group = 1}},
      {"-j NFLOG --nflog-prefix plain_word-1 --nflog-group 65535",
       Nflog{.group = 65535, .prefix = "plain_word-1"}},
      {R"(-j NFLOG --nflog-prefix "two words")", Nflog{.prefix = "two words"}},
      {R"(-j NFLOG --nflog-prefix "a \"b\" \\ \' c")", Nflog{.prefix = R"(a "b" \ ' c)"}},
      {R"(-j NFLOG --nflog-prefix " -j ACCEPT" --nflog-group 2)",
       Nflog{.group = 2, .prefix = " -j ACCEPT"}},
      {"-j NFLOG --nflog-prefix -j", Nflog{.prefix = "-j"}},
      {R"(-j NFLOG --nflog-prefix "!")", Nflog{.prefix = "!"}},
      {"-j NFLOG --nflog-prefix " + std::string(63, 'x'), Nflog{.prefix = std::string(63, 'x')}},
      {"-j NFLOG --nflog-prefix \"\xc3\xa9\"", Nflog{.prefix = "\xc3\xa9"}},
  });
  CHECK(target(R"(-j NFLOG --nflog-group 1 --nflog-prefix "plain")") ==
        Target(Nflog{.group = 1, .prefix = "plain"}));
  CHECK(target(R"(-j NFLOG --nflog-prefix "")") == Target(Nflog{}));
  check_opaque({"-j NFLOG --nflog-size 64", "-j NFLOG --nflog-threshold 2",
                "-j NFLOG --nflog-group", "-j NFLOG --nflog-prefix",
                "-j NFLOG --nflog-prefix " + std::string(64, 'x'),
                R"(-j NFLOG --nflog-prefix a"b c")", "-j NFLOG --nflog-prefix \"a\tb\"",
                "-j NFLOG --nflog-prefix \"\x1b[31m\""});
  check_refused({"-j NFLOG --nflog-group 65536", "-j NFLOG --nflog-group x"});
}

}  // namespace
}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rules/parse.h"
#include "tests/unit/thrown.h"

namespace sluice {
namespace {

using Catch::Matchers::Contains;
using Exclusions = std::vector<UidExclusion>;

TEST_CASE("uid exclusions: protocol, ports and users", "[parse]") {
  CHECK(
      parse_uid_exclusions("tcp:443,8000-8100:1000;udp::999;::998") ==
      Exclusions{
          {.protocol = Protocol::tcp, .ports = {{443, 443}, {8000, 8100}}, .uids = {{1000, 1000}}},
          {.protocol = Protocol::udp, .ports = {}, .uids = {{999, 999}}},
          {.protocol = std::nullopt, .ports = {}, .uids = {{998, 998}}}});
  CHECK(parse_uid_exclusions("::1000,2000-2010,0,4294967294") ==
        Exclusions{{.uids = {{1000, 1000}, {2000, 2010}, {0, 0}, {4294967294, 4294967294}}}});
  CHECK(parse_uid_exclusions("").empty());
  CHECK(parse_uid_exclusions(" \t").empty());
}

TEST_CASE("uid exclusions: blanks and repetitions make no difference", "[parse]") {
  CHECK(parse_uid_exclusions(" tcp : 443 , 80 : 5 , 6-7 ;\t: :8") ==
        parse_uid_exclusions("tcp:443,80:5,6-7;::8"));
  CHECK(parse_uid_exclusions("udp::5;udp::5;udp:: 5,5") == parse_uid_exclusions("udp::5"));
  // Entries may say the same of some packets: all of them count.
  CHECK(parse_uid_exclusions("udp::5;::5").size() == 2);
  CHECK_THROWS_AS(parse_uid_exclusions("::6 - 7"), Error);
}

TEST_CASE("uid exclusions: what is ambiguous is refused by entry", "[parse]") {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"1000", "exclusion \"1000\": it is not of the form PROTOCOL:PORTS:UIDS"},
      {"tcp:443", "exclusion \"tcp:443\": it is not of the form"},
      {"tcp:443:1000:5", "exclusion \"tcp:443:1000:5\": it is not of the form"},
      {"*", "exclusion \"*\": it is not of the form"},
      {"tcp:443:", "exclusion \"tcp:443:\": no UID is given"},
      {"::", "exclusion \"::\": no UID is given"},
      {":: ", "exclusion \"::\": no UID is given"},
      {":443:1000", "exclusion \":443:1000\": ports \"443\" need a protocol, tcp or udp"},
      {"TCP:443:1000", "protocol \"TCP\" is not tcp, udp or empty"},
      {"sctp::1000", "protocol \"sctp\" is not"},
      {"any::1000", "protocol \"any\" is not"},
      {"*::1000", "protocol \"*\" is not"},
      {"6::1000", "protocol \"6\" is not"},
      {"tcp:*:1000", "exclusion \"tcp:*:1000\": \"*\" has no meaning here"},
      {"tcp:443:*", "exclusion \"tcp:443:*\": \"*\" has no meaning here"},
      {"tcp:0:1000", "port \"0\" is below 1"},
      {"tcp:http:1000", "port \"http\" is not a decimal number"},
      {"tcp:9-8:1000", "port range \"9-8\" is reversed"},
      {"tcp:443,:1000", "the list \"443,\" has an empty element"},
      {"tcp:443:1000,", "the list \"1000,\" has an empty element"},
      {"tcp:443:root", "UID \"root\" is not a decimal number"},
      {"tcp:443:-5", "is not a decimal number"},
      {"tcp:443:5-", "is not a decimal number"},
      {"tcp:443:2010-2000", "UID range \"2010-2000\" is reversed"},
      {"tcp:443:1-2-3", "UID \"2-3\" is not a decimal number"},
      {"::4294967295", "UID \"4294967295\" is above 4294967294"},
      {"::0x10", "UID \"0x10\" is not a decimal number"},
      {"::1000-2000,1500", "exclusion \"::1000-2000,1500\": two of its UIDs overlap at 1500"},
      {"::1500,1000-2000", "two of its UIDs overlap at 1500"},
      {"tcp:80-90,90-99:5", "two of its ports overlap at 90"},
      {"udp::5;", "the list \"udp::5;\" has an empty element"},
      {";udp::5", "empty element"},
      {"udp::5;;udp::6", "empty element"},
      {";", "empty element"},
      {"udp::5,tcp::6", "not of the form"},
      {"udp::5\n", "UID \"5\\x0a\" is not a decimal number"},
      {"udp::5;tcp:x:6;udp::7", "exclusion \"tcp:x:6\": port \"x\""},
  };
  for (const auto& [text, reason] : bad) {
    CAPTURE(text);
    CHECK_THAT(message_of([&, t = text] { parse_uid_exclusions(t); }), Contains(reason));
  }
}

std::string numbers(std::size_t count) {
  std::string list;
  for (std::size_t i = 1; i <= count; ++i) list += (i == 1 ? "" : ",") + std::to_string(i);
  return list;
}

TEST_CASE("uid exclusions: pairs of ports and users are limited, not only entries", "[parse]") {
  CHECK(parse_uid_exclusions("::" + numbers(8192)).size() == 1);
  CHECK(parse_uid_exclusions("tcp:" + numbers(64) + ":" + numbers(128)).size() == 1);
  CHECK_THAT(message_of([] { parse_uid_exclusions("tcp:" + numbers(64) + ":" + numbers(129)); }),
             Contains("there are more than 8192 pairs of ports and UIDs"));
  CHECK_THAT(message_of([] { parse_uid_exclusions("::" + numbers(8192) + ";udp::1"); }),
             Contains("exclusion \"udp::1\": there are more than 8192 pairs"));
  const std::string large = "::1" + std::string(value_size_limit, ' ');
  CHECK_THAT(message_of([&] { parse_uid_exclusions(large); }), Contains("is longer than"));
}

}  // namespace
}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
// Marks, routing tables, resolvers and IPv4's loopback.
#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rules/parse.h"
#include "tests/unit/thrown.h"

namespace sluice {
namespace {

using Catch::Matchers::Contains;
using Cases = std::vector<std::pair<std::string, std::string>>;

TEST_CASE("parse: marks and routing tables are decimal or hexadecimal", "[parse]") {
  const std::vector<std::pair<const char*, std::uint32_t>> good{{"1", 1},
                                                                {"1337", 1337},
                                                                {"0x539", 1337},
                                                                {"0X53a0", 0x53a0},
                                                                {"0XaB", 0xab},
                                                                {"4294967295", 0xffffffff},
                                                                {"0xffffffff", 0xffffffff}};
  for (const auto& [text, value] : good) {
    CAPTURE(text);
    CHECK(parse_mark(text) == value);
    CHECK(parse_routing_table(text) == value);
  }
  const Cases bad{
      {"", "is not a decimal number"},
      {"0", "\"0\" is below 1"},
      {"0x0", "\"0x0\" is below 1"},
      {"4294967296", "\"4294967296\" is above 4294967295"},
      {"0x100000000", "\"0x100000000\" is above 0xffffffff"},
      {"0xfffffffffffffffff", "is above 0xffffffff"},
      {"-1", "\"-1\" is not a decimal number"},
      {"0x", "\"0x\" is not a hexadecimal number"},
      {"0x-1", "\"0x-1\" is not a hexadecimal number"},
      {"0xg", "\"0xg\" is not a hexadecimal number"},
      {"0x0x1", "is not a hexadecimal number"},
      {"1337/0xff", "is not a decimal number"},
      {" 1337", "is not a decimal number"},
      {"1,2", "is not a decimal number"},
      {"main", "\"main\" is not a decimal number"},
  };
  for (const auto& [text, reason] : bad) {
    CAPTURE(text);
    CHECK_THAT(message_of([&, t = text] { parse_mark(t); }), Contains(reason));
    CHECK_THAT(message_of([&, t = text] { parse_mark(t); }), Contains("mark"));
    CHECK_THAT(message_of([&, t = text] { parse_routing_table(t); }), Contains(reason));
  }
}

TEST_CASE("parse: marks and tables that somebody else uses", "[parse]") {
  for (const char* text : {"1338", "0x53a"}) {
    CHECK(message_of([&] { parse_mark(text); }) ==
          "mark " + quote(text) + " is that of the sidecar's own calls");
    CHECK(parse_routing_table(text) == 1338);
  }
  for (const char* text : {"253", "254", "255", "0xfe"}) {
    CHECK(message_of([&] { parse_routing_table(text); }) ==
          "routing table " + quote(text) + " is one of the kernel's own");
    CHECK_NOTHROW(parse_mark(text));
  }
  CHECK(parse_routing_table("252") == 252);
  CHECK(parse_routing_table("256") == 256);
}

TEST_CASE("parse: resolvers are addresses, as packets carry them", "[parse]") {
  CHECK(parse_resolvers("10.96.0.10, fd00::10,127.0.0.11,10.96.0.10") ==
        std::vector{parse_address("10.96.0.10"), parse_address("fd00::10"),
                    parse_address("127.0.0.11")});
  CHECK(parse_resolvers("").empty());
  CHECK(parse_resolver("fe80::1%eth0") == parse_address("fe80::1"));
  CHECK(parse_resolver("fe80::1%2") == parse_address("fe80::1"));
  CHECK(parse_resolver("::ffff:10.0.0.1") == parse_address("10.0.0.1"));
  CHECK(parse_resolvers("::ffff:10.0.0.1,10.0.0.1").size() == 1);
}

TEST_CASE("parse: what can be no resolver", "[parse]") {
  const Cases bad{
      {"dns.example", "\"dns.example\" is not an IP address"},
      {"10.96.0.10/32", "\"10.96.0.10/32\" is not an IP address"},
      {"10.96.0.10:53", "is not an IP address"},
      {"10.96.0.010", "is not an IP address"},
      {"10.0.0.1%eth0", "\"10.0.0.1%eth0\" is not an IP address"},
      {"fe80::1%", "the zone of \"fe80::1%\" is not an interface"},
      {"fe80::1%a/b", "interface \"a/b\""},
      {"fe80::1%a%b", "interface \"a%b\""},
      {"%eth0", "is not an IP address"},
      {"0.0.0.0", "\"0.0.0.0\" cannot be a resolver's address"},
      {"::", "\"::\" cannot be"},
      {"::ffff:0.0.0.0", "cannot be"},
      {"224.0.0.251", "cannot be"},
      {"ff02::fb", "cannot be"},
  };
  for (const auto& [text, reason] : bad) {
    CAPTURE(text);
    CHECK_THAT(message_of([&, t = text] { parse_resolver(t); }), Contains(reason));
    CHECK_THAT(message_of([&, t = text] { parse_resolvers("10.0.0.1," + t); }), Contains(reason));
  }
  CHECK(message_of([] { parse_resolvers("*"); }) == "\"*\" has no meaning here");
  CHECK_THAT(message_of([] { parse_resolvers("10.0.0.1,,10.0.0.2"); }), Contains("empty element"));
}

TEST_CASE("parse: IPv4's loopback", "[parse]") {
  CHECK(parse_ipv4_loopback("127.0.0.1/32") == parse_cidr("127.0.0.1/32"));
  CHECK(parse_ipv4_loopback("127.0.0.0/8") == parse_cidr("127.0.0.0/8"));
  CHECK(parse_ipv4_loopback("127.1.2.3/16") == parse_cidr("127.1.0.0/16"));
  for (const char* text : {"127.0.0.0/7", "126.0.0.0/8", "0.0.0.0/0", "::1/128", "10.0.0.0/8"}) {
    CAPTURE(text);
    CHECK(message_of([&] { parse_ipv4_loopback(text); }) ==
          quote(text) + " is not within 127.0.0.0/8");
  }
  for (const char* text : {"", "127.0.0.1", "127.0.0.1/33", "*", "localhost", "127.0.0.1/32,"}) {
    CAPTURE(text);
    CHECK_THAT(message_of([&] { parse_ipv4_loopback(text); }), Contains("is not a CIDR"));
  }
}

}  // namespace
}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/ip.h"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/unit/thrown.h"

namespace sluice {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using std::string_view_literals::operator""sv;

TEST_CASE("ip: addresses are read and spelled as the kernel's tools do", "[ip]") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"10.1.2.3", "10.1.2.3"},
      {"::", "::"},
      {"::1", "::1"},
      {"FD00:0:0:0:0:0:0:1", "fd00::1"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
      {"::ffff:10.1.0.5", "::ffff:10.1.0.5"},
  };
  for (const auto& [text, spelled] : cases) {
    CAPTURE(text);
    CHECK(to_string(parse_address(text)) == spelled);
  }
}

TEST_CASE("ip: an address has its bytes in network order, the unused ones zero", "[ip]") {
  const IpAddress ipv4 = parse_address("10.1.2.3");
  CHECK(ipv4.family == Family::ipv4);
  CHECK(ipv4.bytes == std::array<std::uint8_t, 16>{10, 1, 2, 3});
  const IpAddress ipv6 = parse_address("fd00::1:2");
  CHECK(ipv6.family == Family::ipv6);
  CHECK(ipv6.bytes ==
        std::array<std::uint8_t, 16>{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2});
}

TEST_CASE("ip: what is no address is refused by name", "[ip]") {
  const std::vector<std::string_view> bad{"",
                                          " ",
                                          "10.1.2",
                                          "10.1.2.3.4",
                                          "10.1.2.256",
                                          "010.1.0.5",
                                          "10.1.0.05",
                                          "0x0a.1.2.3",
                                          "10.1.2.3 ",
                                          " 10.1.2.3",
                                          "10.1.2.3\n",
                                          "10.1.2.-3",
                                          "10,1,2,3",
                                          "localhost",
                                          "1",
                                          "167838211",
                                          "10.1.2.3/8",
                                          ":",
                                          ":::",
                                          "1::2::3",
                                          "fe80::1%eth0",
                                          "[::1]",
                                          "::g",
                                          "12345::",
                                          "1:2:3:4:5:6:7:8:9",
                                          "::1.2.3",
                                          "10.1.2.3\0"sv,
                                          "::1\0junk"sv,
                                          "0000:0000:0000:0000:0000:0000:255.255.255.2555",
                                          "*"};
  for (const std::string_view text : bad) {
    CAPTURE(text);
    CHECK(message_of([&] { parse_address(text); }) == quote(text) + " is not an IP address");
  }
}

TEST_CASE("ip: prefixes lose their host bits", "[ip]") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"10.1.2.3/8", "10.0.0.0/8"},
      {"10.1.2.3/32", "10.1.2.3/32"},
      {"255.255.255.255/0", "0.0.0.0/0"},
      {"192.168.255.1/23", "192.168.254.0/23"},
      {"172.31.255.255/12", "172.16.0.0/12"},
      {"255.255.255.255/31", "255.255.255.254/31"},
      {"fd00::1/8", "fd00::/8"},
      {"ffff:ffff::/9", "ff80::/9"},
      {"2001:db8::1/127", "2001:db8::/127"},
      {"2001:db8::1/128", "2001:db8::1/128"},
      {"ffff::ffff/0", "::/0"},
  };
  for (const auto& [text, spelled] : cases) {
    CAPTURE(text);
    CHECK(to_string(parse_cidr(text)) == spelled);
    CHECK(parse_cidr(text) == parse_cidr(spelled));
  }
}

TEST_CASE("ip: what is no prefix is refused by name and reason", "[ip]") {
  const std::vector<std::pair<std::string_view, std::string>> bad{
      {"", "the prefix length is missing"},
      {"10.0.0.1", "the prefix length is missing"},
      {"::1", "the prefix length is missing"},
      {"10.0.0/8", "the address is ill-formed"},
      {"/8", "the address is ill-formed"},
      {"*/0", "the address is ill-formed"},
      {"fe80::1%eth0/64", "the address is ill-formed"},
      {"010.1.0.5/16", "the address is ill-formed"},
      {"10.0.0.0\0/8"sv, "the address is ill-formed"},
      {"10.0.0.0/", "the prefix length is not 0 to 32"},
      {"10.0.0.0/33", "the prefix length is not 0 to 32"},
      {"10.0.0.0/256", "the prefix length is not 0 to 32"},
      {"10.0.0.0/99999999999999999999", "the prefix length is not 0 to 32"},
      {"10.0.0.0/-1", "the prefix length is not 0 to 32"},
      {"10.0.0.0/+8", "the prefix length is not 0 to 32"},
      {"10.0.0.0/ 8", "the prefix length is not 0 to 32"},
      {"10.0.0.0/8 ", "the prefix length is not 0 to 32"},
      {"10.0.0.0/08", "the prefix length is not 0 to 32"},
      {"10.0.0.0/00", "the prefix length is not 0 to 32"},
      {"10.0.0.0/8/8", "the prefix length is not 0 to 32"},
      {"10.0.0.0/255.0.0.0", "the prefix length is not 0 to 32"},
      {"fd00::/129", "the prefix length is not 0 to 128"},
      {"fd00::/8\0"sv, "the prefix length is not 0 to 128"},
  };
  for (const auto& [text, reason] : bad) {
    CAPTURE(text);
    CHECK(message_of([&, one = text] { parse_cidr(one); }) ==
          quote(text) + " is not a CIDR: " + reason);
  }
}

TEST_CASE("ip: a prefix can be made of any address and length", "[ip]") {
  const IpAddress address = parse_address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  for (unsigned length = 0; length <= 128; ++length) {
    const Cidr cidr = make_cidr(address, static_cast<std::uint8_t>(length));
    unsigned kept = 0;
    for (const std::uint8_t byte : cidr.address.bytes) {
      for (unsigned bit = 0; bit < 8; ++bit) kept += byte >> bit & 1U;
    }
    CAPTURE(length, to_string(cidr));
    CHECK(kept == length);
    CHECK(parse_cidr(to_string(cidr)) == cidr);
  }
  CHECK(address_bits(Family::ipv4) == 32);
  CHECK(address_bits(Family::ipv6) == 128);
}

TEST_CASE("ip: ports and port ranges", "[ip]") {
  CHECK(parse_port_range("1") == PortRange{1, 1});
  CHECK(parse_port_range("65535") == PortRange{65535, 65535});
  CHECK(parse_port_range("8000-8100") == PortRange{8000, 8100});
  CHECK(parse_port_range("80-80") == PortRange{80, 80});
  CHECK(parse_port_range("1-65535") == PortRange{1, 65535});
  CHECK(parse_port("15001") == 15001);
  CHECK(parse_port("00080") == 80);
}

TEST_CASE("ip: what is no port is refused by name", "[ip]") {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"", "port \"\" is not a decimal number"},
      {"0", "port \"0\" is below 1"},
      {"65536", "port \"65536\" is above 65535"},
      {"99999999999999999999999", "is above 65535"},
      {"-1", "port range \"-1\""},
      {"80-", "port range \"80-\""},
      {"0-80", "port \"0\" is below 1"},
      {"80-65536", "is above 65535"},
      {"8100-8000", "port range \"8100-8000\" is reversed"},
      {"80-90-100", "port range \"80-90-100\""},
      {"80:90", "is not a decimal number"},
      {"http", "port \"http\" is not a decimal number"},
      {"8 0", "is not a decimal number"},
      {" 80", "is not a decimal number"},
      {"80\n", "is not a decimal number"},
      {"+80", "is not a decimal number"},
      {"80.0", "is not a decimal number"},
      {"1e3", "is not a decimal number"},
      {"0x50", "is not a decimal number"},
      {"*", "is not a decimal number"},
      {"\xd9\xa8\xd9\xa0", "is not a decimal number"},  // Arabic digits
  };
  for (const auto& [text, reason] : bad) {
    CAPTURE(text);
    CHECK_THAT(message_of([&, one = text] { parse_port_range(one); }), Contains(reason));
  }
  CHECK_THAT(message_of([] { parse_port("80-90"); }), StartsWith("port \"80-90\""));
}

TEST_CASE("ip: decimal numbers up to a limit", "[ip]") {
  CHECK(parse_decimal("0", 0, "UID") == 0);
  CHECK(parse_decimal("18446744073709551615", UINT64_MAX, "UID") == UINT64_MAX);
  CHECK(message_of([] { parse_decimal("8", 7, "UID"); }) == "UID \"8\" is above 7");
  CHECK_THAT(message_of([] { parse_decimal("18446744073709551616", UINT64_MAX, "UID"); }),
             Contains("is above 18446744073709551615"));
  CHECK_THAT(message_of([] { parse_decimal("99999999999999999999x", UINT64_MAX, "UID"); }),
             Contains("UID \"99999999999999999999x\" is not a decimal number"));
}

TEST_CASE("ip: special addresses are told at the edges of their ranges", "[ip]") {
  const auto all = [](bool (*is)(const IpAddress&), const std::vector<const char*>& texts) {
    std::vector<std::string> yes;
    for (const char* text : texts) {
      if (is(parse_address(text))) yes.emplace_back(text);
    }
    return yes;
  };
  using Texts = std::vector<std::string>;
  CHECK(all(is_loopback, {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0",
                          "::", "::1", "::2", "::7f00:1"}) ==
        Texts{"127.0.0.0", "127.255.255.255", "::1"});
  CHECK(all(is_link_local, {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0",
                            "fe7f::1", "fe80::", "febf::1", "fec0::"}) ==
        Texts{"169.254.0.0", "169.254.255.255", "fe80::", "febf::1"});
  CHECK(all(is_multicast, {"223.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0",
                           "feff::1", "ff00::", "ff02::1"}) ==
        Texts{"224.0.0.0", "239.255.255.255", "ff00::", "ff02::1"});
}

TEST_CASE("ip: a prefix is loopback only if all of it is", "[ip]") {
  for (const char* text : {"127.0.0.0/8", "127.0.0.1/32", "127.128.0.0/9", "::1/128"}) {
    CAPTURE(text);
    CHECK(is_loopback(parse_cidr(text)));
  }
  for (const char* text :
       {"126.0.0.0/7", "0.0.0.0/0", "128.0.0.0/8", "::/0", "::/127", "::2/128"}) {
    CAPTURE(text);
    CHECK_FALSE(is_loopback(parse_cidr(text)));
  }
}

}  // namespace
}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/parse.h"

#include <catch2/catch.hpp>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/unit/thrown.h"

namespace sluice {
namespace {

using Catch::Matchers::Contains;
using std::string_view_literals::operator""sv;

using Ports = std::vector<PortRange>;

TEST_CASE("parse: port lists keep their order, without blanks and repetitions", "[parse]") {
  CHECK(parse_ports("80") == Ports{{80, 80}});
  CHECK(parse_ports("443,80,8000-8100") == Ports{{443, 443}, {80, 80}, {8000, 8100}});
  CHECK(parse_ports(" 80 ,\t443\t") == Ports{{80, 80}, {443, 443}});
  CHECK(parse_ports("80,443,0080,80-80,443") == Ports{{80, 80}, {443, 443}});
  // Ranges that overlap are different elements.
  CHECK(parse_ports("1-3,2") == Ports{{1, 3}, {2, 2}});
}

TEST_CASE("parse: an empty text is an empty list, not everything", "[parse]") {
  for (const char* text : {"", " ", " \t "}) {
    CHECK(parse_ports(text).empty());
    CHECK(parse_cidrs(text).empty());
    CHECK(parse_interfaces(text).empty());
    CHECK(parse_port_selection(text) == Selection<PortRange>{.all = false});
    CHECK(parse_cidr_selection(text) == Selection<Cidr>{.all = false});
  }
}

TEST_CASE("parse: the wildcard stands alone, and only for selections", "[parse]") {
  for (const char* text : {"*", " * "}) {
    CHECK(parse_port_selection(text) == Selection<PortRange>{.all = true});
    CHECK(parse_cidr_selection(text) == Selection<Cidr>{.all = true});
    CHECK(message_of([&] { parse_ports(text); }) == "\"*\" has no meaning here");
    CHECK(message_of([&] { parse_cidrs(text); }) == "\"*\" has no meaning here");
  }
  CHECK_THROWS_AS(parse_port_selection("*,80"), Error);
  CHECK_THROWS_AS(parse_port_selection("80,*"), Error);
  CHECK_THROWS_AS(parse_cidr_selection("10.0.0.0/8,*"), Error);
  CHECK_THROWS_AS(parse_port_selection("**"), Error);
}

TEST_CASE("parse: selections that are lists", "[parse]") {
  CHECK(parse_port_selection("80,90-91") ==
        Selection<PortRange>{.all = false, .list = {{80, 80}, {90, 91}}});
  CHECK(parse_cidr_selection("10.0.0.0/8") ==
        Selection<Cidr>{.all = false, .list = {parse_cidr("10.0.0.0/8")}});
}

TEST_CASE("parse: CIDR lists take both families, and host bits make no difference", "[parse]") {
  const std::vector<Cidr> expected{parse_cidr("10.0.0.0/8"), parse_cidr("fd00::/8")};
  CHECK(parse_cidrs("10.1.2.3/8,fd00::/8,10.0.0.0/8,FD00::1/8") == expected);
}

TEST_CASE("parse: an element that cannot be read is named", "[parse]") {
  const std::vector<std::pair<std::string_view, std::string>> bad_ports{
      {",", "the list \",\" has an empty element"},
      {"80,", "the list \"80,\" has an empty element"},
      {",80", "has an empty element"},
      {"80,,443", "has an empty element"},
      {"80, ,443", "has an empty element"},
      {"80 443", "port \"80 443\" is not a decimal number"},
      {"80;443", "port \"80;443\""},
      {"80\n", "port \"80\\x0a\""},
      {"80,\n443", "port \"\\x0a443\""},
      {"80\0,443"sv, "port \"80\\x00\""},
      {"80,http", "port \"http\" is not a decimal number"},
      {"80,0", "port \"0\" is below 1"},
      {"80,65536", "port \"65536\" is above 65535"},
      {"80,9-8", "port range \"9-8\" is reversed"},
      {"80 -j ACCEPT", "port range \"80 -j ACCEPT\""},
      {"1e3", "port \"1e3\""},
      {"0-70000", "port range \"0-70000\""},
  };
  for (const auto& [text, reason] : bad_ports) {
    CAPTURE(text);
    CHECK_THAT(message_of([&, one = text] { parse_ports(one); }), Contains(reason));
    CHECK_THAT(message_of([&, one = text] { parse_port_selection(one); }), Contains(reason));
  }
  CHECK_THAT(message_of([] { parse_cidrs("10.0.0.0/8,10.0.0.1"); }),
             Contains("\"10.0.0.1\" is not a CIDR"));
  CHECK_THAT(message_of([] { parse_cidr_selection("10.0.0.0/8,"); }), Contains("empty element"));
}

TEST_CASE("parse: interface names", "[parse]") {
  CHECK(parse_interfaces("eth0, net1.100,0,a_b-c,123456789012345,eth0") ==
        std::vector<std::string>{"eth0", "net1.100", "0", "a_b-c", "123456789012345"});
  const std::vector<std::pair<std::string_view, std::string>> bad{
      {"1234567890123456", "interface \"1234567890123456\" is longer than 15 bytes"},
      {"eth+", "interface \"eth+\" has characters that are not allowed"},
      {"+", "characters that are not allowed"},
      {"*", "characters that are not allowed"},
      {"_eth", "characters that are not allowed"},
      {".", "characters that are not allowed"},
      {"..", "characters that are not allowed"},
      {"-o", "characters that are not allowed"},
      {"eth 0", "characters that are not allowed"},
      {"eth/0", "characters that are not allowed"},
      {"eth0\n", "characters that are not allowed"},
      {"eth0\0x"sv, "characters that are not allowed"},
      {"\xc3\xa9th0", "characters that are not allowed"},
      {"eth0,,eth1", "empty element"},
  };
  for (const auto& [text, reason] : bad) {
    CAPTURE(text);
    CHECK_THAT(message_of([&, one = text] { parse_interfaces(one); }), Contains(reason));
  }
}

TEST_CASE("parse: IDs", "[parse]") {
  using Ids = std::vector<std::uint32_t>;
  CHECK(parse_ids("0", "UID") == Ids{0});
  CHECK(parse_ids("4294967294", "UID") == Ids{4294967294});
  CHECK(parse_ids(" 1337, 0 ,1337", "UID") == Ids{1337, 0});
  const std::vector<std::pair<std::string, std::string>> bad{
      {"", "no GID is given"},
      {" ", "no GID is given"},
      {"4294967295", "GID \"4294967295\" is above 4294967294"},
      {"-1", "GID \"-1\" is not a decimal number"},
      {"1337-1340", "GID \"1337-1340\" is not a decimal number"},
      {"root", "GID \"root\" is not a decimal number"},
      {"*", "GID \"*\" is not a decimal number"},
      {"1,", "empty element"},
  };
  for (const auto& [text, reason] : bad) {
    CAPTURE(text);
    CHECK_THAT(message_of([&, one = text] { parse_ids(one, "GID"); }), Contains(reason));
  }
}

TEST_CASE("parse: owner groups are numbers, up to 64 where they are included", "[parse]") {
  using Ids = std::vector<std::uint32_t>;
  CHECK(parse_owner_groups("0, 4294967294,0") == Ids{0, 4294967294});
  CHECK(parse_owner_groups("").empty());
  CHECK(parse_owner_group_selection(" * ").all);
  // No group's traffic, which is not the same as everybody's.
  CHECK(parse_owner_group_selection("") == Selection<std::uint32_t>{.all = false});
  CHECK(parse_owner_group_selection("7") == Selection<std::uint32_t>{.all = false, .list = {7}});
  CHECK(message_of([] { parse_owner_groups("staff"); }) ==
        "group \"staff\" is not a GID: names are not looked up");
  const std::vector<std::pair<std::string, std::string>> bad{
      {"-1", "group \"-1\" is not a GID"},
      {"1-5", "group \"1-5\" is not a GID"},
      {"0x10", "group \"0x10\" is not a GID"},
      {"4294967295", "GID \"4294967295\" is above 4294967294"},
      {"5,*", "\"*\" has no meaning here"},
      {"5,", "empty element"},
  };
  for (const auto& [text, reason] : bad) {
    CAPTURE(text);
    CHECK_THAT(message_of([&, t = text] { parse_owner_groups(t); }), Contains(reason));
    CHECK_THAT(message_of([&, t = text] { parse_owner_group_selection(t); }), Contains(reason));
  }
  CHECK(message_of([] { parse_owner_groups("*"); }) == "\"*\" has no meaning here");
  std::string groups = "1";
  for (std::size_t i = 2; i <= owner_group_limit; ++i) groups += "," + std::to_string(i);
  CHECK(parse_owner_group_selection(groups + ",1").list.size() == 64);
  CHECK(message_of([&] { parse_owner_group_selection(groups + ",65"); }) ==
        "the list has more than 64 groups");
  // Excluded groups take a rule each: there is no such limit.
  CHECK(parse_owner_groups(groups + ",65").size() == 65);
}

// `count` different ports with commas between them.
std::string port_list(std::size_t count) {
  std::string text;
  for (std::size_t i = 1; i <= count; ++i) text += (i == 1 ? "" : ",") + std::to_string(i);
  return text;
}

TEST_CASE("parse: a list of 8192 elements is accepted, one more is not", "[parse]") {
  CHECK(parse_ports(port_list(list_length_limit)).size() == 8192);
  CHECK(message_of([] { parse_ports(port_list(list_length_limit + 1)); }) ==
        "the list has more than 8192 elements");
  // What counts is what is written, or a list of repetitions would have no limit.
  std::string repeated = "1";
  for (std::size_t i = 1; i < list_length_limit; ++i) repeated += ",1";
  CHECK(parse_ids(repeated, "UID").size() == 1);
  CHECK(parse_ids(port_list(owner_id_limit), "UID").size() == 64);
  CHECK(message_of([] { parse_ids(port_list(owner_id_limit + 1), "UID"); }) ==
        "the list has more than 64 UIDs");
  CHECK_THROWS_AS(parse_ids(repeated + ",1", "UID"), Error);
  CHECK_THROWS_AS(parse_interfaces(repeated + ",1"), Error);
}

TEST_CASE("parse: a value of 256 KiB is accepted, one more byte is not", "[parse]") {
  const auto padded = [](const std::string& text, std::size_t size) {
    return text + std::string(size - text.size(), ' ');
  };
  CHECK(parse_ports(padded("80", 262144)).size() == 1);
  CHECK(message_of([&] { parse_ports(padded("80", 262145)); }) ==
        "the value is longer than 262144 bytes");
  CHECK_THROWS_AS(parse_cidrs(padded("10.0.0.0/8", 262145)), Error);
  CHECK_THROWS_AS(parse_interfaces(padded("eth0", 262145)), Error);
  CHECK_THROWS_AS(parse_ids(padded("1", 262145), "UID"), Error);
  CHECK_THROWS_AS(parse_port_selection(padded("80", 262145)), Error);
}

TEST_CASE("parse: the largest CIDR list takes no noticeable time", "[parse]") {
  std::string text;
  for (unsigned i = 0; i < list_length_limit; ++i) {
    text += (i == 0 ? "" : ",") + std::string("10.") + std::to_string(i / 256) + "." +
            std::to_string(i % 256) + ".0/24";
  }
  const std::clock_t start = std::clock();
  CHECK(parse_cidrs(text).size() == list_length_limit);
  CHECK(std::clock() - start < 2 * CLOCKS_PER_SEC);  // of the processor's time
}

TEST_CASE("parse: booleans are Go's", "[parse]") {
  for (const char* text : {"1", "t", "T", "TRUE", "true", "True"}) CHECK(parse_bool(text));
  for (const char* text : {"0", "f", "F", "FALSE", "false", "False"}) CHECK_FALSE(parse_bool(text));
  for (const char* text : {"", " true", "tRUE", "yes", "no", "on", "2", "truee"}) {
    CAPTURE(text);
    CHECK(message_of([&] { parse_bool(text); }) == quote(text) + " is not true or false");
  }
}

TEST_CASE("parse: words are exact", "[parse]") {
  CHECK(parse_ipv6_policy("auto") == Ipv6Policy::automatic);
  CHECK(parse_ipv6_policy("always") == Ipv6Policy::always);
  CHECK(parse_ipv6_policy("never") == Ipv6Policy::never);
  CHECK(parse_ipv6_policy("block") == Ipv6Policy::block);
  CHECK(message_of([] { parse_ipv6_policy("Auto"); }) ==
        "\"Auto\" is not auto, always, never or block");
  CHECK(&parse_layout("istio") == find_layout("istio"));
  CHECK(&parse_layout("istio-1.6") == find_layout("istio-1.6"));
  CHECK(message_of([] { parse_layout("istio-1.7"); }) ==
        "\"istio-1.7\" is not " + layout_choices());
  for (const std::string& name : layout_names()) CHECK_THAT(layout_choices(), Contains(name));
  CHECK(parse_interception_mode("REDIRECT") == InterceptionMode::redirect);
  CHECK(parse_interception_mode("NONE") == InterceptionMode::none);
  CHECK(parse_interception_mode("TPROXY") == InterceptionMode::tproxy);
  for (const char* text : {"redirect", "", " NONE", "none", "tproxy"}) {
    CAPTURE(text);
    CHECK(message_of([&] { parse_interception_mode(text); }) ==
          quote(text) + " is not REDIRECT, TPROXY or NONE");
  }
  CHECK(parse_dns_capture("all") == DnsCapture::all);
  CHECK(parse_dns_capture("resolvers") == DnsCapture::resolvers);
  CHECK(parse_dns_capture("off") == DnsCapture::off);
  for (const char* text : {"", "ALL", "true", "resolver", "off "}) {
    CAPTURE(text);
    CHECK(message_of([&] { parse_dns_capture(text); }) ==
          quote(text) + " is not all, resolvers or off");
  }
}

}  // namespace
}  // namespace sluice

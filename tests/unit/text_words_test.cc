// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/text_words.h"

#include <catch2/catch.hpp>
#include <optional>
#include <string>

#include "tests/unit/thrown.h"

namespace sluice {
namespace {

TEST_CASE("text_words: words are split at blanks outside of quotes", "[text_words]") {
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

TEST_CASE("text_words: quotes and the backslashes in them are taken off", "[text_words]") {
  CHECK(unquoted("plain") == "plain");
  CHECK(unquoted("").value() == "");
  CHECK(unquoted(R"("")").value() == "");
  CHECK(unquoted(R"("two words")") == "two words");
  CHECK(unquoted(R"("a \"b\" \\ \' c")") == R"(a "b" \ ' c)");
  // A backslash protects whatever follows it, as iptables-restore reads it.
  CHECK(unquoted(R"("\n")") == "n");
  // Outside of quotes it is a character like any other.
  CHECK(unquoted(R"(a\b)") == R"(a\b)");
  for (const char* word : {R"(a"b")", R"("a"b)", R"(")", R"("a\")", R"("a""b")", R"(""")"}) {
    CAPTURE(word);
    CHECK_FALSE(unquoted(word).has_value());
  }
}

TEST_CASE("text_words: bits", "[text_words]") {
  CHECK(parse_bits("0") == 0);
  CHECK(parse_bits("1337") == 1337);
  CHECK(parse_bits("4294967295") == 0xffffffff);
  CHECK(parse_bits("0x0") == 0);
  CHECK(parse_bits("0xffFFffff") == 0xffffffff);
  for (const char* text : {"", "0x", "-1", "+1", "0x-1", "0x1g", "1 ", " 1", "ff", "4294967296",
                           "0x100000000", "0x1/0x1"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_bits(text), Error);
  }
  const Masked whole = parse_masked("0x539");
  CHECK(whole.value == 0x539);
  CHECK(whole.mask == 0xffffffff);
  const Masked part = parse_masked("1/0xff");
  CHECK(part.value == 1);
  CHECK(part.mask == 0xff);
  for (const char* text : {"/", "1/", "/1", "1/1/1", "0x1/x"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_masked(text), Error);
  }
}

TEST_CASE("text_words: ports", "[text_words]") {
  CHECK(parse_port_words("0") == PortRange{0, 0});
  CHECK(parse_port_words("8000:8100") == PortRange{8000, 8100});
  for (const char* text : {"", ":", "1:", ":1", "1:2:3", "65536", "1-2", "http"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_port_words(text), Error);
  }
}

}  // namespace
}  // namespace sluice

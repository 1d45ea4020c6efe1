// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/error.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cni/code.h"

namespace sluice {
namespace {

using std::string_view_literals::operator""sv;

TEST_CASE("error: a failed call says what it did and why", "[error]") {
  const Error error(ENOENT, "open netns /x");
  CHECK(error.what() == std::string("open netns /x: No such file or directory"));
  CHECK(error.code() == std::errc::no_such_file_or_directory);
  CHECK(error.details().empty());
}

TEST_CASE("error: a domain code keeps sentence and details apart", "[error]") {
  const Error error(cni::Code::drift, "the rules differ", "a long list");
  CHECK(error.what() == std::string("the rules differ"));
  CHECK(error.code() == cni::Code::drift);
  CHECK(error.details() == "a long list");
}

TEST_CASE("error: input that is not acceptable is EINVAL", "[error]") {
  const Error error("port \"x\" is not a decimal number");
  CHECK(error.what() == std::string("port \"x\" is not a decimal number"));
  CHECK(error.code() == std::errc::invalid_argument);
}

TEST_CASE("error: quoted text shows what would break a line", "[error]") {
  const std::vector<std::pair<std::string_view, std::string>> cases{
      {"", R"("")"},
      {"plain text", R"("plain text")"},
      {R"(a"b)", R"("a\"b")"},
      {R"(a\b)", R"("a\\b")"},
      {"a\nb\r\tc", R"("a\x0ab\x0d\x09c")"},
      {"\0"sv, R"("\x00")"},
      {"\x1b[31m", R"("\x1b[31m")"},
      {"\x7f", R"("\x7f")"},
      {"caf\xc3\xa9 \xe2\x98\x83 \xf0\x9f\x98\x80",
       "\"caf\xc3\xa9 \xe2\x98\x83 \xf0\x9f\x98\x80\""},
      // Line breaks beyond ASCII: NEL, the last C1 control, line and paragraph separator.
      {"\xc2\x85", R"("\xc2\x85")"},
      {"\xc2\x9f", R"("\xc2\x9f")"},
      {"\xc2\xa0", "\"\xc2\xa0\""},
      {"\xe2\x80\xa8\xe2\x80\xa9", R"("\xe2\x80\xa8\xe2\x80\xa9")"},
  };
  for (const auto& [text, quoted] : cases) {
    CAPTURE(quoted);
    CHECK(quote(text) == quoted);
  }
}

TEST_CASE("error: ill-formed UTF-8 is shown byte by byte", "[error]") {
  const std::vector<std::pair<std::string_view, std::string>> cases{
      {"\x80", R"("\x80")"},                           // a continuation alone
      {"\xff\xfe", R"("\xff\xfe")"},                   // never in UTF-8
      {"\xc0\xaf", R"("\xc0\xaf")"},                   // overlong
      {"\xc1\xbf", R"("\xc1\xbf")"},                   //
      {"\xe0\x9f\xbf", R"("\xe0\x9f\xbf")"},           //
      {"\xf0\x8f\xbf\xbf", R"("\xf0\x8f\xbf\xbf")"},   //
      {"\xed\xa0\x80", R"("\xed\xa0\x80")"},           // a surrogate
      {"\xf4\x90\x80\x80", R"("\xf4\x90\x80\x80")"},   // above U+10FFFF
      {"\xf5\x80\x80\x80", R"("\xf5\x80\x80\x80")"},   //
      {"\xc3", R"("\xc3")"},                           // cut off
      {"\xe2\x98", R"("\xe2\x98")"},                   //
      {"\xc3(", R"("\xc3(")"},                         // continued by something else
      {"\xe2\x98\xc3\xa9", "\"\\xe2\\x98\xc3\xa9\""},  // recovers at the next character
  };
  for (const auto& [text, quoted] : cases) {
    CAPTURE(quoted);
    CHECK(quote(text) == quoted);
  }
  // The edges of the well-formed ranges stay as they are.
  for (const char* text : {"\xc2\xa1", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(quote(text) == std::string("\"") + text + "\"");
  }
}

TEST_CASE("error: quoted text is cut after 100 characters or 200 bytes, never inside one",
          "[error]") {
  const std::string hundred(100, 'a');
  CHECK(quote(hundred) == "\"" + hundred + "\"");
  CHECK(quote(hundred + "a") == "\"" + hundred + "...\"");
  std::string snowmen;
  for (int i = 0; i < 66; ++i) snowmen += "\xe2\x98\x83";
  CHECK(quote(snowmen + "bb") == "\"" + snowmen + "bb\"");
  CHECK(quote(snowmen + "bbb") == "\"" + snowmen + "bb...\"");
  CHECK(quote(snowmen + snowmen) == "\"" + snowmen + "...\"");
  CHECK(quote(std::string(1U << 20U, '\n')).size() == 50 * 4 + 5);
}

TEST_CASE("error: printable text is quoted text without quotes and without an end", "[error]") {
  CHECK(printable("").empty());
  CHECK(printable("a\"b\\c") == "a\"b\\c");
  CHECK(printable("a\n\x1b[31m\xff\xe2\x80\xa8") == R"(a\x0a\x1b[31m\xff\xe2\x80\xa8)");
  CHECK(printable("caf\xc3\xa9") == "caf\xc3\xa9");
  const std::string longer(5000, 'a');
  CHECK(printable(longer) == longer);
}

TEST_CASE("error: whatever is quoted is one line of printable UTF-8", "[error]") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  // Once from each position, because only 100 characters are shown.
  for (std::size_t begin = 0; begin < all.size(); ++begin) {
    const std::string quoted = quote(std::string_view(all).substr(begin));
    for (const char c : quoted) {
      const auto byte = static_cast<unsigned char>(c);
      const bool printable = byte >= 0x20 && byte < 0x7f;
      if (!printable) FAIL("byte " << static_cast<unsigned>(byte) << " in " << quoted);
    }
  }
  SUCCEED();
}

}  // namespace
}  // namespace sluice

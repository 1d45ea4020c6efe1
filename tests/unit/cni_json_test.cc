// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cni/json.h"
#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::StartsWith;
using std::string_view_literals::operator""sv;

TEST_CASE("cni/json: one value, with white space around it", "[cni_json]") {
  CHECK(parse_json(" {\"a\": [1, 2.5, null, true]}\r\n\t", "x") ==
        Json{{"a", {1, 2.5, nullptr, true}}});
  CHECK(parse_json("null", "x").is_null());
  CHECK(parse_json(R"("\ud83d\ude00\u003c")", "x") == "\xf0\x9f\x98\x80<");
}

TEST_CASE("cni/json: of a key that stands twice the last value counts", "[cni_json]") {
  CHECK(parse_json(R"({"a": 1, "a": 2})", "x") == Json{{"a", 2}});
}

TEST_CASE("cni/json: what is no JSON is refused under the name of the text", "[cni_json]") {
  for (const std::string_view text :
       {""sv,           " "sv,       "{"sv,          "}"sv,
        "{}{}"sv,       "{} x"sv,    "{'a': 1}"sv,   "{\"a\": 1,}"sv,
        "[1,]"sv,       "{a: 1}"sv,  "// c\n{}"sv,   "{} // c"sv,
        "/* c */ {}"sv, "NaN"sv,     "[Infinity]"sv, "nul"sv,
        "01"sv,         "+1"sv,      ".5"sv,         "\"\n\""sv,
        "\"\x01\""sv,   "\"\\x\""sv, "\"open"sv,     "\xef\xbb\xbf{}"sv,
        "{}\0"sv,       "{}\0{}"sv,  "\"\0\""sv,     "1e999"sv}) {
    CAPTURE(text);
    const Error error = thrown_by([&] { parse_json(text, "the text"); });
    CHECK(code_of(error) == Code::decoding_failure);
    CHECK_THAT(error.what(), StartsWith("the text is not valid JSON"));
  }
}

TEST_CASE("cni/json: a message does not repeat what was read, it may be secret", "[cni_json]") {
  const std::string message = message_of([] { parse_json("{\"token\": s3cret}", "x"); });
  CHECK(message.find("s3cret") == std::string::npos);
}

std::string nested(std::size_t depth, char open, char close) {
  std::string text;
  for (std::size_t i = 0; i < depth; ++i) text += open == '{' ? "{\"a\":" : "[";
  text += '1';
  return text + std::string(depth, close);
}

TEST_CASE("cni/json: nesting has a limit", "[cni_json]") {
  CHECK_NOTHROW(parse_json(nested(1024, '[', ']'), "x"));
  CHECK_NOTHROW(parse_json(nested(1024, '{', '}'), "x"));
  for (const std::string& text : {nested(1025, '[', ']'), nested(1025, '{', '}'),
                                  nested(1U << 20U, '[', ']'), std::string(1U << 20U, '[')}) {
    const Error error = thrown_by([&] { parse_json(text, "x"); });
    CHECK(code_of(error) == Code::decoding_failure);
    CHECK(error.what() == std::string("x is nested deeper than 1024 levels"));
  }
  // Brackets in strings nest nothing, also behind an escaped quote.
  CHECK_NOTHROW(parse_json("\"\\\"" + std::string(5000, '[') + "\"", "x"));
  // Neither do values that stand beside each other.
  std::string flat = "[[]";
  for (int i = 0; i < 5000; ++i) flat += ",[]";
  CHECK_NOTHROW(parse_json(flat + "]", "x"));
}

TEST_CASE("cni/json: members are found in any case, the exact one first", "[cni_json]") {
  const Json object = Json::parse(R"({"NAME": 1, "name": 2, "CNIVersion": "x", "Nothing": null})");
  REQUIRE(find_member(object, "name") != nullptr);
  CHECK(*find_member(object, "name") == 2);
  CHECK(*find_member(object, "cniVersion") == "x");
  CHECK(find_member(object, "other") == nullptr);
  CHECK(find_member(Json::array({1}), "name") == nullptr);
  CHECK(find_member(Json(), "name") == nullptr);
  CHECK(find_member("name", "name") == nullptr);
  REQUIRE(find_member(object, "nothing") != nullptr);
  CHECK(find_member(object, "nothing")->is_null());
  CHECK(find_value(object, "nothing") == nullptr);
  CHECK(find_value(object, "NAME") == find_member(object, "NAME"));
}

TEST_CASE("cni/json: case is that of ASCII letters only", "[cni_json]") {
  CHECK(equal_ignoring_case("cniVersion", "CNIVERSION"));
  CHECK(equal_ignoring_case("", ""));
  CHECK_FALSE(equal_ignoring_case("a", "ab"));
  CHECK_FALSE(equal_ignoring_case("[", "{"));
  CHECK_FALSE(equal_ignoring_case("@", "`"));
  CHECK_FALSE(equal_ignoring_case("\xc3\xa9", "\xc3\x89"));
}

TEST_CASE("cni/json: a printed value is one line of valid UTF-8", "[cni_json]") {
  CHECK(to_line({{"a", "x\ny"}, {"b", {1, 2}}}) == R"({"a":"x\ny","b":[1,2]})");
  CHECK(to_line("\xff\xfe") == "\"\xef\xbf\xbd\xef\xbf\xbd\"");
  CHECK(to_line("caf\xc3\xa9") == "\"caf\xc3\xa9\"");
}

}  // namespace
}  // namespace sluice::cni

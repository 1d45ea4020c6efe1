// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/list_scanner.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/kube/line_reader.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

using Catch::Matchers::Contains;
using Strings = std::vector<std::string>;

struct Scanned {
  Strings items;
  std::string envelope;
};

// `text` in two parts, cut at `cut`.
Scanned scan(const std::string& text, std::size_t cut = 0) {
  Scanned scanned;
  ListScanner scanner([&](std::string_view item) { scanned.items.emplace_back(item); });
  scanner.feed(std::string_view(text).substr(0, cut));
  scanner.feed(std::string_view(text).substr(cut));
  scanned.envelope = scanner.finish();
  return scanned;
}

}  // namespace

TEST_CASE("a list is taken apart wherever it is cut") {
  const std::string text =
      R"( {"kind":"PodList", "metadata" : {"resourceVersion":"7","items":[1]},
      "items": [ {"a":[1,{"b":"},]\"["}]} ,
      2,"x, y\\",[ [3] ],{} ], "last":"items"}
      )";
  const Strings items{R"({"a":[1,{"b":"},]\"["}]})", "2", R"("x, y\\")", "[ [3] ]", "{}"};
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const Scanned scanned = scan(text, cut);
    CHECK(scanned.items == items);
    CHECK(scanned.envelope == R"({"kind":"PodList","metadata":{"resourceVersion":"7","items":[1]},)"
                              R"("items":[],"last":"items"})");
  }
}

TEST_CASE("a list may be empty, null or absent") {
  CHECK(scan(R"({"items":[ ]})").envelope == R"({"items":[]})");
  CHECK(scan(R"({"items":null})").envelope == R"({"items":null})");
  CHECK(scan("{}").envelope == "{}");
  CHECK(scan(R"({"items":{"items":[1]}})").items.empty());
  CHECK(scan(R"({"a":"items","b":[1]})").items.empty());
  CHECK(scan(R"(["items",[1]])").items.empty());
}

TEST_CASE("a list that is cut is not complete") {
  const std::string text = R"({"items":[{"a":"}"}]})";
  for (std::size_t size = 0; size < text.size(); ++size) {
    CHECK_THROWS_WITH(scan(text.substr(0, size)), Contains("ends in the middle"));
  }
}

TEST_CASE("what is no list does not become one") {
  CHECK_THROWS_WITH(scan(R"({"items":[,]})"), Contains("empty item"));
  CHECK_THROWS_WITH(scan(R"({"items":[1,,2]})"), Contains("empty item"));
  CHECK(scan("{} x").envelope == "{}x");  // for the parser to refuse
  CHECK(scan(R"(}{"items":[1]})").envelope == R"(}{"items":[]})");
}

TEST_CASE("items and envelope have limits") {
  CHECK(scan(R"({"items":[")" + std::string(item_limit - 2, 'x') + R"("]})").items.size() == 1);
  CHECK_THROWS_WITH(scan(R"({"items":[")" + std::string(item_limit, 'x') + R"("]})"),
                    Contains("more than 4 MiB"));
  CHECK_THROWS_WITH(scan(R"({"a":")" + std::string(envelope_limit, 'x') + R"("})"),
                    Contains("more than 64 KiB"));
}

TEST_CASE("any bytes are taken or refused by an error") {
  const std::string alphabet = "{}[]\",:\\ i1\n\xff";
  std::uint32_t state = 1;
  for (int round = 0; round < 2000; ++round) {
    std::string text = round % 2 == 0 ? "" : R"({"items":[)";
    for (int i = 0; i < 40; ++i) {
      state = state * 1664525U + 1013904223U;
      text += alphabet[(state >> 16U) % alphabet.size()];
    }
    try {
      scan(text, text.size() / 2);
    } catch (const Error& error) {
      CHECK(std::string(error.what()).size() < 1024);
    }
  }
}

TEST_CASE("a stream is read line by line wherever it is cut") {
  const std::string text = "one\n\ntwo \"\\n\"\nthree";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Strings lines;
    LineReader reader(100);
    const auto take = [&](std::string_view line) {
      lines.emplace_back(line);
      return true;
    };
    CHECK(reader.feed(text.substr(0, cut), take));
    CHECK(reader.feed(text.substr(cut), take));
    CHECK(lines == Strings{"one", "", "two \"\\n\""});
  }
}

TEST_CASE("a line has a limit, and reading ends when asked to") {
  LineReader reader(4);
  int lines = 0;
  const auto once = [&](std::string_view) { return ++lines < 1; };
  CHECK_FALSE(reader.feed("abcd\nefgh\n", once));
  CHECK(lines == 1);
  LineReader other(4);
  CHECK(other.feed("abc", once));
  CHECK_THROWS_WITH(other.feed("de", once), Contains("more than 4 bytes"));
}

}  // namespace sluice::agent

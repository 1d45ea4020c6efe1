// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/proxy_config.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;
using Metadata = std::map<std::string, std::string>;

std::string repeated(const std::string& text, std::size_t size = proxy_config_size_limit) {
  std::string all;
  while (all.size() + text.size() <= size) all += text;
  return all;
}

TEST_CASE("proxy_config: interception mode and metadata", "[proxy_config]") {
  const ProxyConfig config = parse_proxy_config(R"(
interceptionMode: TPROXY
concurrency: 2
proxyMetadata:
  ISTIO_META_DNS_CAPTURE: "true"
  ISTIO_META_DNS_AUTO_ALLOCATE: "true"
  ISTIO_DUAL_STACK: true
  ISTIO_OUTBOUND_OWNER_GROUPS: |-
    1000,
    2000
  OUTPUT_CERTS: [a, b]
proxyStatsMatcher:
  inclusionRegexps:
  - ".*"
  - {interceptionMode: NONE}
interceptionModes: NONE
tracing: {zipkin: {address: "x:9411", interceptionMode: NONE}}
)");
  CHECK(config.interception_mode == "TPROXY");
  CHECK(config.metadata == Metadata{{"ISTIO_META_DNS_CAPTURE", "true"},
                                    {"ISTIO_DUAL_STACK", "true"},
                                    {"ISTIO_OUTBOUND_OWNER_GROUPS", "1000,\n2000"}});
}

TEST_CASE("proxy_config: JSON is YAML", "[proxy_config]") {
  const ProxyConfig config = parse_proxy_config(
      R"({"interceptionMode": "NONE", "proxyMetadata": {"INVALID_DROP": "1"}, "extra": [1, {}]})");
  CHECK(config.interception_mode == "NONE");
  CHECK(config.metadata == Metadata{{"INVALID_DROP", "1"}});
}

TEST_CASE("proxy_config: the proto's own names of the keys", "[proxy_config]") {
  const ProxyConfig config =
      parse_proxy_config("interception_mode: NONE\nproxy_metadata: {INVALID_DROP: '1'}");
  CHECK(config.interception_mode == "NONE");
  CHECK(config.metadata == Metadata{{"INVALID_DROP", "1"}});
  // They are one key under two names.
  CHECK_THAT(message_of([] {
               parse_proxy_config("proxyMetadata: {}\nproxy_metadata: {INVALID_DROP: '1'}");
             }),
             Contains("stands twice"));
  CHECK(parse_proxy_config("a: {interception_mode: 1, interceptionMode: 1}").metadata.empty());
}

TEST_CASE("proxy_config: what says nothing", "[proxy_config]") {
  for (const char* text :
       {"", " \n\n", "# comment", "---", "--- {}", "---\n...\n", "null", "~", "{}",
        "interceptionMode:\nproxyMetadata: ~", "proxyMetadata: {ISTIO_DUAL_STACK: , B: null}",
        "proxyMetadata: {a: {b: [c]}}", "concurrency: 2", "? a\n", "'<<': {a: 1}"}) {
    CAPTURE(text);
    const ProxyConfig config = parse_proxy_config(text);
    CHECK_FALSE(config.interception_mode.has_value());
    CHECK(config.metadata.empty());
  }
}

TEST_CASE("proxy_config: what YAML offers beyond maps and scalars is refused with its line",
          "[proxy_config]") {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"a: &x 1", "line 1: anchors are not accepted"},
      {"b: 1\na: &x {c: 1}", "line 2: anchors are not accepted"},
      {"a: &x", "anchors are not accepted"},
      {"&x a: 1", "anchors are not accepted"},
      {"a: *x", "line 1: it is not valid YAML"},
      {"a: !!str 5", "line 1: tag \"tag:yaml.org,2002:str\" is not accepted"},
      {"a: !!binary aGVsbG8=", "tag \"tag:yaml.org,2002:binary\" is not accepted"},
      {"a: !x {b: 1}", "tag \"!x\" is not accepted"},
      {"a: !x [b]", "tag \"!x\" is not accepted"},
      {"a: !!null", "tag \"tag:yaml.org,2002:null\""},
      {"!!map {a: 1}", "is not accepted"},
      {"%TAG ! tag:x,2000:\n---\na: !foo 1", "is not accepted"},
      {"a: 1\n<<: {b: 1}", "line 2: merge keys are not accepted"},
      {"a:\n  b:\n    <<: {c: 1}", "line 3: merge keys are not accepted"},
      {"a: 1\nb: 1\na: 2", "line 3: key \"a\" stands twice in one map"},
      {"a: 1\n'a': 2", "key \"a\" stands twice"},
      {"x: {y: {a: 1, a: 2}}", "key \"a\" stands twice"},
      {R"({"a": 1, "\x61": 2})", "key \"a\" stands twice"},
      {"proxyMetadata: {ISTIO_DUAL_STACK: '1', ISTIO_DUAL_STACK: '0'}", "stands twice"},
      {"? {a: 1}\n: 2", "a key is not a scalar"},
      {"[a]: 2", "a key is not a scalar"},
      {"~: 2", "a key is missing"},
      {": 2", "a key is missing"},
      {"a: 1\n---\nb: 2", "line 2: there is a second document"},
      {"--- a\n--- b", "it is not a map"},
      {"---\n---\n", "there is a second document"},
      {"just text", "it is not a map"},
      {"5", "it is not a map"},
      {"[a, b]", "it is not a map"},
      {"- a", "it is not a map"},
      {"interceptionMode: [NONE]", "interceptionMode is not a scalar"},
      {"interceptionMode: {NONE: 1}", "interceptionMode is not a scalar"},
      {"proxyMetadata: [ISTIO_DUAL_STACK]", "proxyMetadata is not a map"},
      {"proxyMetadata: x", "proxyMetadata is not a map"},
      {"proxyMetadata: {ISTIO_DUAL_STACK: ['true']}", "ISTIO_DUAL_STACK is not a scalar"},
      {"proxyMetadata:\n  ISTIO_META_DNS_CAPTURE: {a: b}",
       "ISTIO_META_DNS_CAPTURE is not a scalar"},
      {"a: [", "it is not valid YAML"},
      {"a: {b", "it is not valid YAML"},
      {"a: \"b", "it is not valid YAML"},
      {"a: b: c", "it is not valid YAML"},
      {"a:\n\tb: c", "it is not valid YAML"},
      {"a: 'b' c", "it is not valid YAML"},
      {"@", "it is not valid YAML"},
  };
  for (const auto& [text, reason] : bad) {
    CAPTURE(text);
    CHECK_THAT(message_of([&, t = text] { parse_proxy_config(t); }), Contains(reason));
  }
}

TEST_CASE("proxy_config: aliases and what they could grow to", "[proxy_config]") {
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c <= 'i'; ++c) {
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i)
      bomb += std::string(i == 0 ? "*" : ", *") + static_cast<char>(c - 1);
    bomb += "]\n";
  }
  CHECK_THAT(message_of([&] { parse_proxy_config(bomb); }), Contains("anchors are not accepted"));
}

TEST_CASE("proxy_config: bytes that are no text", "[proxy_config]") {
  using std::string_literals::operator""s;
  for (const std::string& text : {"a: b\0c"s, "a: b\x01"s, "a: \x1b[0m"s, "a: \x7f"s, "\0"s}) {
    CHECK(message_of([&] { parse_proxy_config(text); }) == "it has control characters");
  }
  for (const std::string& text : {"a: \xff"s, "a: \xc0\x80"s, "a: \xed\xa0\x80"s,
                                  "\xff\xfe"
                                  "a"s,
                                  "\xe2\x82"s}) {
    CHECK(message_of([&] { parse_proxy_config(text); }) == "it is not valid UTF-8");
  }
  CHECK(message_of([] { parse_proxy_config("\xef\xbb\xbf{}"); }) == "it has a byte order mark");
  CHECK(parse_proxy_config("interceptionMode: \xc3\xa9").interception_mode == "\xc3\xa9");
}

TEST_CASE("proxy_config: 64 KiB and 32 levels, not more", "[proxy_config]") {
  const std::string scalar = "a: " + std::string(proxy_config_size_limit - 3, 'x');
  CHECK_NOTHROW(parse_proxy_config(scalar));
  CHECK(message_of([&] { parse_proxy_config(scalar + "x"); }) == "it is longer than 65536 bytes");
  const auto nested = [](std::size_t levels) {
    return "a: " + std::string(levels - 1, '[') + std::string(levels - 1, ']');
  };
  CHECK_NOTHROW(parse_proxy_config(nested(proxy_config_depth_limit)));
  CHECK(message_of([&] { parse_proxy_config(nested(proxy_config_depth_limit + 1)); }) ==
        "line 1: it is nested deeper than 32 levels");
}

TEST_CASE("proxy_config: whatever the text is, an error ends it soon", "[proxy_config]") {
  for (const char* part :
       {"[",   "{",  "[{",  "- ",      "? ",  "a: ",     "[a: ",    "{a: ",   "{? ",
        "&a ", "!",  "! ",  "*a ",     "|",   ">",       "]",       "}",      ":",
        ": ",  ",",  "[,",  "{a,",     "[],", "%a\n",    "---\n",   "\"\\",   "\"\\u",
        "'",   "\"", "-\n", "a: |\n ", "!<",  "a: [[],", "{\"a\":", "a: {b: "}) {
    CAPTURE(part);
    const auto start = std::chrono::steady_clock::now();
    try {
      parse_proxy_config(repeated(part));
    } catch (const Error& error) {
      CHECK(std::string(error.what()).size() < 1024);
      CHECK_THAT(error.what(), !Contains("\n"));
    }
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
  }
}

TEST_CASE("proxy_config: random text throws Error or nothing", "[proxy_config]") {
  const std::vector<std::string> words{"a",
                                       "b: ",
                                       ": ",
                                       "\n",
                                       "\n  ",
                                       "\n    ",
                                       "- ",
                                       "[",
                                       "]",
                                       "{",
                                       "}",
                                       ", ",
                                       "? ",
                                       "\"",
                                       "'",
                                       "|\n",
                                       ">-\n",
                                       "# ",
                                       "<<",
                                       "~",
                                       "---\n",
                                       "...\n",
                                       "&a ",
                                       "*a",
                                       "! ",
                                       "!!",
                                       "%",
                                       "\t",
                                       "\\x",
                                       "true",
                                       "0x1",
                                       "proxyMetadata:",
                                       "interceptionMode: "};
  std::minstd_rand random(20261123);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto i = random() % 30; i > 0; --i) text += words[random() % words.size()];
    CAPTURE(text);
    try {
      parse_proxy_config(text);
    } catch (const Error&) {
      SUCCEED();
    }
  }
}

}  // namespace
}  // namespace sluice::cni

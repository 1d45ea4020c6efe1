// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/conflist.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "agent/install/installer.h"
#include "rules/error.h"
#include "tests/random_config.h"

namespace sluice::agent {
namespace {

using cni::Json;

const Json& wanted() {
  static const Json entry = wanted_entry(Json{{"log", "info"}, {"ports", {15006, 15001}}});
  return entry;
}

// Without the white space between tokens.
std::string packed(const std::string& text) {
  std::string out;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!in_string && std::string(" \t\r\n").find(c) != std::string::npos) continue;
    out += c;
    if (in_string && c == '\\') out += text.at(++i);
    if (c == '"') in_string = !in_string;
    if (in_string && c == '\\') continue;
  }
  return out;
}

// Texts of JSON that no parser's round trip would give back.
class RandomText {
 public:
  explicit RandomText(std::uint64_t seed) : random_(seed) {}

  std::string space() {
    static const std::vector<std::string> some{"",     "",   " ",        "\n",
                                               "\n  ", "\t", "\r\n    ", "  \n\n "};
    return pick(some);
  }

  std::string value(int depth) {
    static const std::vector<std::string> scalars{"0",
                                                  "-0",
                                                  "-0.0",
                                                  "1e25",
                                                  "1E+2",
                                                  "123456789012345678901234567890",
                                                  "9007199254740993",
                                                  "0.1000",
                                                  "true",
                                                  "false",
                                                  "null",
                                                  R"("")",
                                                  R"("a,b]}")",
                                                  R"("\"type\": \"sluice-cni\"")",
                                                  R"("\u0041\ud83d\ude00\/")",
                                                  "\"\xc3\xa9\xe2\x82\xac\"",
                                                  R"("\\")",
                                                  R"("[{\n")"};
    if (depth == 0 || random_.chance(50)) return pick(scalars);
    if (random_.chance(50)) return list(depth, "[", "]", [&] { return value(depth - 1); });
    return list(depth, "{", "}", [&] { return member(depth); });
  }

  // An object; `first` is a member that it must have, or empty.
  std::string object(const std::string& first, int depth = 3) {
    std::vector<std::string> members;
    if (!first.empty()) members.push_back(first);
    while (random_.chance(60)) members.push_back(member(depth));
    shuffle(members);
    return join(members, "{", "}");
  }

  std::string plugin() {
    static const std::vector<std::string> types{"calico", "portmap", "bandwidth", "x\\u002dy"};
    return object("\"type\"" + space() + ":" + space() + "\"" + pick(types) + "\"");
  }

  std::string ours() { return object("\"type\":" + space() + "\"sluice-cni\"", 1); }

  // Joins with random white space around each part.
  std::string join(const std::vector<std::string>& parts, const std::string& open,
                   const std::string& close) {
    std::string text = open;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      text += (i == 0 ? "" : ",") + space() + parts[i] + space();
    }
    return text + close;
  }

  template <typename T>
  void shuffle(std::vector<T>& parts) {
    for (std::size_t i = parts.size(); i > 1; --i) std::swap(parts[i - 1], parts[random_.below(i)]);
  }

  RandomConfig& random() { return random_; }

 private:
  const std::string& pick(const std::vector<std::string>& from) {
    return from[random_.below(from.size())];
  }

  std::string member(int depth) {
    static const std::vector<std::string> keys{"a",       "a",        "b",     "Log",
                                               "\\u0061", "plug ins", "{\\\"", "ipam"};
    return "\"" + pick(keys) + "\"" + space() + ":" + space() + value(depth - 1);
  }

  template <typename Make>
  std::string list(int /*depth*/, const char* open, const char* close, Make make) {
    std::vector<std::string> parts;
    while (parts.size() < 5 && random_.chance(60)) parts.push_back(make());
    return join(parts, open, close);
  }

  RandomConfig random_;
};

// A list around the text of an array of plugins.
struct RandomList {
  std::string before;
  std::string after;

  explicit RandomList(RandomText& text) {
    before = text.space() + "{" + text.space();
    if (text.random().chance(70)) before += R"("cniVersion" : "0.3.1",)" + text.space();
    if (text.random().chance(50)) before += R"("big": 12345678901234567890123, "f":1e25,)";
    const bool name_first = text.random().chance(50);
    if (name_first) before += R"("name":"k8s-\u0070od",)" + text.space();
    before += R"("plugins")" + text.space() + ":" + text.space();
    after = text.space();
    if (!name_first) after += R"(,"name": "cbr0")";
    if (text.random().chance(50)) after += R"(,"x":[{"plugins":[]}], "x": {"type":"sluice-cni"})";
    after += text.space() + "}" + text.space();
  }
};

std::string put(const std::string& text, bool migrate = false) {
  const Edit edit = put_entry(text, wanted(), migrate);
  INFO(edit.why);
  REQUIRE(edit.outcome == EditOutcome::changed);
  return edit.text;
}

std::string list(const std::string& plugins) {
  return R"({"name":"n","plugins":[)" + plugins + "]}";
}

constexpr const char* ours = R"({"type":"sluice-cni"})";
const std::string entry = R"({"type": "sluice-cni", "log": "info", "ports": [15006,15001]})";

}  // namespace

TEST_CASE("everything but the entry keeps its bytes, whatever the list looks like") {
  const std::uint64_t seed = random_seed();
  INFO("SLUICE_SEED=" << seed);
  RandomText random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> plugins{random.plugin()};
    while (random.random().chance(50)) plugins.push_back(random.plugin());
    const RandomList around(random);
    const std::string array = random.join(plugins, "[", "]");
    const std::string text = around.before + array + around.after;
    INFO(text);
    const std::string with = put(text);
    // One insertion, behind the last plugin.
    const std::size_t end =
        around.before.size() + array.rfind(plugins.back()) + plugins.back().size();
    REQUIRE(with.substr(0, end) == text.substr(0, end));
    REQUIRE(with.size() > text.size());
    REQUIRE(with.substr(with.size() - (text.size() - end)) == text.substr(end));
    REQUIRE(put_entry(with, wanted(), false).outcome == EditOutcome::unchanged);
    REQUIRE(take_entry(with).text == text);
  }
}

TEST_CASE("entries of ours that are there become one, where the first one is") {
  const std::uint64_t seed = random_seed();
  INFO("SLUICE_SEED=" << seed);
  RandomText random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> plugins{random.plugin()};
    std::vector<bool> is_ours{false};
    for (int i = 0; i < 5; ++i) {
      is_ours.push_back(random.random().chance(40));
      plugins.push_back(is_ours.back() ? random.ours() : random.plugin());
    }
    if (random.random().chance(50)) {
      std::swap(plugins.front(), plugins.back());
      const bool last = is_ours.back();
      is_ours.back() = is_ours.front();
      is_ours.front() = last;
    }
    const RandomList around(random);
    const std::string text = around.before + random.join(plugins, "[", "]") + around.after;
    INFO(text);
    std::vector<std::string> with;
    std::vector<std::string> without;
    for (std::size_t i = 0; i < plugins.size(); ++i) {
      if (!is_ours[i]) with.push_back(plugins[i]);
      if (!is_ours[i]) without.push_back(plugins[i]);
      if (is_ours[i] && with.size() == without.size()) with.push_back(entry);
    }
    if (with.size() == without.size()) with.push_back(entry);
    const auto text_of = [&](const std::vector<std::string>& parts) {
      std::string joined;
      for (const std::string& part : parts) joined += (joined.empty() ? "" : ",") + part;
      return packed(around.before + "[" + joined + "]" + around.after);
    };
    const std::string changed = put(text);
    REQUIRE(packed(changed) == text_of(with));
    REQUIRE(put_entry(changed, wanted(), false).outcome == EditOutcome::unchanged);
    REQUIRE(packed(take_entry(changed).text) == text_of(without));
  }
}

TEST_CASE("an entry that is JSON-equal is not touched, in whatever way it is written") {
  const std::string text = list(
      R"({"type":"calico"}, {"ports":[15006, 1.5001e4],"log":"\u0069nfo","type":"sluice-cni"},{"type":"linkerd-cni"})");
  const Edit edit = put_entry(text, wanted(), false);
  CHECK(edit.outcome == EditOutcome::unchanged);
  CHECK(edit.had_entry);
}

TEST_CASE("the entry is written as its neighbours are") {
  CHECK(put(list(R"({"type":"a"})")) == list(R"({"type":"a"},)" + entry));
  CHECK(put(list(R"( {"type":"a"} )")) == list(R"( {"type":"a"}, )" + entry + " "));
  CHECK(
      put(list("\n\t{\"type\":\"a\"}\n")) ==
      list("\n\t{\"type\":\"a\"},\n\t{\n\t\t\"type\": \"sluice-cni\",\n\t\t\"log\": \"info\",\n\t\t"
           "\"ports\": [\n\t\t\t15006,\n\t\t\t15001\n\t\t]\n\t}\n"));
  CHECK(put(list("\r\n  {\"type\":\"a\"}\r\n")).find("\r\n  },\r\n") == std::string::npos);
  CHECK(put(list("\r\n  {\"type\":\"a\"}\r\n")).find("},\r\n  {\r\n    \"type\"") !=
        std::string::npos);
}

TEST_CASE("an older entry in the middle is updated where it is, its doubles go") {
  CHECK(put(list(R"({"type":"a"}, {"type":"sluice-cni","old":1},{"type":"b"},)" +
                 std::string(ours) + "," + ours)) ==
        list(R"({"type":"a"}, )" + entry + R"(,{"type":"b"})"));
  CHECK(put(list(std::string(ours) + R"(,{"type":"a"})")) == list(entry + R"(,{"type":"a"})"));
}

TEST_CASE("istio-cni's entry is waited for, or replaced in the same edit") {
  const std::string both =
      list(R"({"type":"a"},{"type":"istio-cni","x":1},{"type":"b"},{"type":"istio-cni"})");
  const Edit edit = put_entry(both, wanted(), false);
  CHECK(edit.outcome == EditOutcome::refused);
  CHECK_FALSE(edit.had_entry);
  CHECK(edit.why.find("istio-cni") != std::string::npos);
  CHECK(put(both, true) == list(R"({"type":"a"},)" + entry + R"(,{"type":"b"})"));

  const std::string beside = list(R"({"type":"a"},)" + entry + R"(,{"type":"istio-cni"})");
  CHECK(put_entry(beside, wanted(), false).outcome == EditOutcome::refused);
  CHECK(put_entry(beside, wanted(), false).had_entry);
  CHECK(put(beside, true) == list(R"({"type":"a"},)" + entry));
}

TEST_CASE("what no runtime loads is left to its owner") {
  for (const char* text : {
           "",
           "   ",
           "null",
           "[]",
           "{",
           R"({"name":"n","plugins":[{"type":"a"}])",
           R"({"name":"n","plugins":[{"type":"a"}]} x)",
           R"({"name":"n","plugins":[{"type":"a"},]})",
           R"({"name":"n", /* c */ "plugins":[{"type":"a"}]})",
           "// c\n{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}",
           R"({"name":"n"})",
           R"({"name":"n","plugins":{}})",
           R"({"name":"n","plugins":[]})",
           R"({"plugins":[{"type":"a"}]})",
           R"({"name":"","plugins":[{"type":"a"}]})",
           R"({"name":1,"plugins":[{"type":"a"}]})",
           R"({"name":"n","plugins":[1]})",
           R"({"name":"n","plugins":[{"Type":1}]})",
           R"({"name":"n","plugins":[{"type":""}]})",
           R"({"name":"n","cniVersion":1,"plugins":[{"type":"a"}]})",
           R"({"name":"n","plugins":[{"type":"sluice-cni"}]})",
           R"({"name":"n","plugins":[{"type":"a","n":1e999}]})",
       }) {
    INFO(text);
    const Edit edit = put_entry(text, wanted(), false);
    CHECK(edit.outcome == EditOutcome::unreadable);
    CHECK_FALSE(edit.why.empty());
    CHECK(edit.text.empty());
  }
  const std::string deep(5000, '[');
  CHECK(put_entry(R"({"name":"n","plugins":)" + deep, wanted(), false).outcome ==
        EditOutcome::unreadable);
}

TEST_CASE("a list whose decoders may differ on what it says is refused") {
  for (const char* text : {
           R"({"name":"n","plugins":[{"type":"a"}],"plugins":[{"type":"b"}]})",
           R"({"name":"n","plugins":[{"type":"a"}],"plugin\u0073":[{"type":"b"}]})",
           R"({"name":"n","name":"n","plugins":[{"type":"a"}]})",
           R"({"name":"n","Plugins":[{"type":"b"}],"plugins":[{"type":"a"}]})",
       }) {
    INFO(text);
    CHECK(put_entry(text, wanted(), false).outcome == EditOutcome::refused);
  }
}

TEST_CASE("a list that would grow over the limit is refused") {
  const std::string text =
      list(R"({"type":"a","x":")" + std::string(conf_size_limit - 60, 'x') + "\"}");
  REQUIRE(text.size() < conf_size_limit);
  CHECK(put_entry(text, wanted(), false).outcome == EditOutcome::refused);
}

TEST_CASE("a list of nothing but ours is not emptied") {
  const Edit edit = take_entry(list(std::string(ours) + "," + ours));
  CHECK(edit.outcome == EditOutcome::refused);
  CHECK(edit.had_entry);
  CHECK(take_entry(list(R"({"type":"a"})")).outcome == EditOutcome::unchanged);
}

TEST_CASE("a single plugin becomes a list of the same name and version") {
  const std::string single =
      "  {\"type\":\"bridge\", \"cniVersion\": \"0.3.\\u0031\",\n \"big\": 1e25, \"name\": "
      "\"my\\/net\"}\n";
  const Edit edit = make_list(single, wanted());
  REQUIRE(edit.outcome == EditOutcome::changed);
  CHECK(edit.text.find("\"cniVersion\": \"0.3.\\u0031\",\n  \"name\": \"my\\/net\",\n") !=
        std::string::npos);
  CHECK(edit.text.find(
            "[\n    {\"type\":\"bridge\", \"cniVersion\": \"0.3.\\u0031\",\n \"big\": 1e25, ") !=
        std::string::npos);
  CHECK(put_entry(edit.text, wanted(), false).outcome == EditOutcome::unchanged);
  CHECK(made_from(edit.text, single));
  CHECK_FALSE(made_from(edit.text, R"({"type":"bridge","name":"my/net"})"));
  CHECK_FALSE(made_from(take_entry(edit.text).text, single));
  CHECK_FALSE(made_from("{", single));
  CHECK_FALSE(made_from(edit.text, "{"));

  const Edit versionless = make_list(R"({"type":"bridge","name":"n"})", wanted());
  CHECK(versionless.text.find("cniVersion") == std::string::npos);
}

TEST_CASE("a single plugin that makes no list is left as it is") {
  for (const char* text : {"", "{", "[]", "{}", R"({"name":"n","plugins":[{"type":"a"}]})",
                           R"({"type":"a","name":"n","cniVersion":1})"}) {
    INFO(text);
    CHECK(make_list(text, wanted()).outcome == EditOutcome::unreadable);
  }
  for (const char* text :
       {R"({"type":"a"})", R"({"type":"a","name":""})", R"({"type":"a","Name":"n"})",
        R"({"type":"sluice-cni","name":"n"})", R"({"type":"istio-cni","name":"n"})",
        R"({"type":"a","name":"n","name":"m"})"}) {
    INFO(text);
    CHECK(make_list(text, wanted()).outcome == EditOutcome::refused);
  }
}

TEST_CASE("the entry is an object of our type") {
  CHECK(wanted_entry(Json()) == Json{{"type", "sluice-cni"}});
  CHECK(wanted_entry(Json{{"type", "sluice-cni"}, {"a", 1}}) ==
        Json{{"type", "sluice-cni"}, {"a", 1}});
  CHECK_THROWS_AS(wanted_entry(Json::array()), Error);
  CHECK_THROWS_AS(wanted_entry(Json{{"type", "istio-cni"}}), Error);
}

TEST_CASE("keys that are kept come from the entry that is replaced, unless they are asked for") {
  const std::string text =
      R"({"name":"n","plugins":[{"type":"a","k":0},{"type":"sluice-cni","k":1,"other":2}]})";
  const auto entry = [&](const Json& asked, const std::vector<std::string>& kept) {
    return cni::parse_json(put_entry(text, wanted_entry(asked), false, kept).text, "it")
        .at("plugins")
        .at(1);
  };
  CHECK(entry(Json(), {"k", "absent"}) == Json{{"type", "sluice-cni"}, {"k", 1}});
  CHECK(entry(Json{{"k", 3}}, {"k"}) == Json{{"type", "sluice-cni"}, {"k", 3}});
  CHECK(entry(Json(), {}) == Json{{"type", "sluice-cni"}});
  CHECK(put_entry(text, Json{{"type", "sluice-cni"}, {"other", 2}}, false, {"k"}).outcome ==
        EditOutcome::unchanged);
}

TEST_CASE("a key that the plugin does not understand is not kept") {
  for (const std::string value : {R"(5)", R"("a/relative/path")", R"(null)"}) {
    const std::string text =
        R"({"name":"n","plugins":[{"type":"a"},{"type":"sluice-cni","agentSocket":)" + value +
        R"(,"agentDaemonSet":"a/b"}]})";
    const Edit edit =
        put_entry(text, wanted_entry(Json()), false, {"agentSocket", "agentDaemonSet"});
    INFO(edit.text);
    CHECK(cni::parse_json(edit.text, "it").at("plugins").at(1) ==
          Json{{"type", "sluice-cni"}, {"agentDaemonSet", "a/b"}});
  }
}

}  // namespace sluice::agent

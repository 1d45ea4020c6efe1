// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/environment.h"

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;
using std::string_view_literals::operator""sv;

using Variables = std::map<std::string, std::string>;

std::optional<Environment> read(const Variables& variables) {
  return read_environment([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

Variables complete(const std::string& command) {
  return {{"CNI_COMMAND", command},    {"CNI_CONTAINERID", "c0ffee"}, {"CNI_NETNS", "/run/netns/x"},
          {"CNI_IFNAME", "eth0"},      {"CNI_ARGS", "A=1;B=2"},       {"CNI_PATH", "/opt/cni/bin"},
          {"CNI_NETNS_OVERRIDE", "1"}, {"TRACEPARENT", "x"}};
}

Variables with(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

void check_refused(const Variables& variables, const std::string& message) {
  const Error error = thrown_by([&] { read(variables); });
  CHECK(code_of(error) == Code::invalid_environment);
  CHECK(error.what() == message);
}

TEST_CASE("environment: all parameters", "[environment]") {
  const std::optional<Environment> environment = read(complete("ADD"));
  REQUIRE(environment.has_value());
  CHECK(environment->command == Command::add);
  CHECK(environment->container_id == "c0ffee");
  CHECK(environment->netns == "/run/netns/x");
  CHECK(environment->ifname == "eth0");
  CHECK(environment->args == Variables{{"A", "1"}, {"B", "2"}});
  CHECK(environment->netns_override);
}

TEST_CASE("environment: commands", "[environment]") {
  const std::vector<std::pair<std::string, Command>> commands{
      {"ADD", Command::add}, {"DEL", Command::del},       {"CHECK", Command::check},
      {"GC", Command::gc},   {"STATUS", Command::status}, {"VERSION", Command::version}};
  for (const auto& [text, command] : commands) {
    CAPTURE(text);
    const std::optional<Environment> environment = read(complete(text));
    REQUIRE(environment.has_value());
    CHECK(environment->command == command);
  }
  CHECK_FALSE(read({}).has_value());
  CHECK_FALSE(read(complete("")).has_value());
  for (const char* text : {"add", "ADD ", " ADD", "UPDATE", "ADDX", "AD"}) {
    check_refused(complete(text), std::string("unknown CNI_COMMAND: \"") + text + "\"");
  }
}

TEST_CASE("environment: what is missing is named, all of it and in order", "[environment]") {
  const auto only = [](const std::string& command) { return Variables{{"CNI_COMMAND", command}}; };
  check_refused(only("ADD"),
                "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing");
  check_refused(only("CHECK"),
                "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing");
  check_refused(only("DEL"), "required env variables [CNI_CONTAINERID,CNI_IFNAME] missing");
  check_refused(only("GC"), "required env variables [CNI_PATH] missing");
  CHECK(read(only("STATUS")).has_value());
  CHECK(read(only("VERSION")).has_value());
  // An empty variable counts as unset.
  for (const char* name : {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}) {
    check_refused(with(complete("ADD"), name, ""),
                  std::string("required env variables [") + name + "] missing");
  }
  check_refused(with(complete("GC"), "CNI_PATH", ""), "required env variables [CNI_PATH] missing");
}

TEST_CASE("environment: what a command does not need may be empty", "[environment]") {
  CHECK(read(with(complete("DEL"), "CNI_NETNS", ""))->netns.empty());
  for (const char* command : {"ADD", "DEL", "CHECK", "STATUS", "VERSION"}) {
    CAPTURE(command);
    CHECK(read(with(complete(command), "CNI_PATH", "")).has_value());
  }
  for (const char* command : {"GC", "STATUS", "VERSION"}) {
    CAPTURE(command);
    Variables variables = complete(command);
    for (const char* name : {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"}) {
      variables[name] = "";
    }
    CHECK(read(variables).has_value());
    // Nor is it looked at.
    variables["CNI_CONTAINERID"] = "../..";
    variables["CNI_IFNAME"] = "a/b";
    CHECK(read(variables).has_value());
  }
}

TEST_CASE("environment: container IDs", "[environment]") {
  for (const char* id :
       {"a", "0", "c0ffee", "A_b.c-d", "1234567890123456789012345678901234567890"}) {
    CAPTURE(id);
    CHECK(is_valid_id(id));
    CHECK(read(with(complete("DEL"), "CNI_CONTAINERID", id))->container_id == id);
  }
  for (const std::string_view id :
       {"-a"sv, ".a"sv, "_a"sv, "a b"sv, "a/b"sv, "a\n"sv, "a\0b"sv, "\xc3\xa9"sv, ""sv}) {
    CAPTURE(id);
    CHECK_FALSE(is_valid_id(id));
  }
  for (const char* command : {"ADD", "DEL", "CHECK"}) {
    check_refused(with(complete(command), "CNI_CONTAINERID", "../a\n"),
                  R"(CNI_CONTAINERID "../a\x0a" has characters that are not allowed)");
  }
  // As in the reference implementation it comes before what is missing.
  check_refused({{"CNI_COMMAND", "ADD"}, {"CNI_CONTAINERID", "/"}},
                "CNI_CONTAINERID \"/\" has characters that are not allowed");
}

TEST_CASE("environment: interface names", "[environment]") {
  for (const char* name : {"e", "eth0", "123456789012345", "%d", "-eth", "\xc3\xa9th0", "\xff",
                           "a.b", "...", "eth0@x"}) {
    CAPTURE(name);
    CHECK(read(with(complete("ADD"), "CNI_IFNAME", name))->ifname == name);
  }
  check_refused(with(complete("ADD"), "CNI_IFNAME", "1234567890123456"),
                "CNI_IFNAME \"1234567890123456\" is longer than 15 bytes");
  for (const char* name : {".",
                           "..",
                           "a/b",
                           "a:b",
                           "a b",
                           "a\tb",
                           "a\nb",
                           "a\vb",
                           "a\fb",
                           "a\rb",
                           " ",
                           "a\xc2\x85",
                           "a\xc2\xa0",
                           "a\xe1\x9a\x80",
                           "a\xe2\x80\x83",
                           "a\xe2\x80\xa8",
                           "a\xe2\x80\xa9",
                           "a\xe2\x80\xaf",
                           "a\xe2\x81\x9f",
                           "a\xe3\x80\x80"}) {
    check_refused(with(complete("DEL"), "CNI_IFNAME", name),
                  "CNI_IFNAME " + quote(name) + " is not an interface name");
  }
}

TEST_CASE("environment: the override is 1 or true in any case", "[environment]") {
  for (const char* yes : {"1", "true", "TRUE", "True", "tRuE"}) {
    CHECK(read(with(complete("ADD"), "CNI_NETNS_OVERRIDE", yes))->netns_override);
  }
  for (const char* no : {"", "0", "yes", "false", "2", "true ", "t"}) {
    CAPTURE(no);
    CHECK_FALSE(read(with(complete("ADD"), "CNI_NETNS_OVERRIDE", no))->netns_override);
  }
}

TEST_CASE("environment: CNI_ARGS", "[environment]") {
  const std::vector<std::pair<std::string, Variables>> cases{
      {"", {}},
      {";", {}},
      {";;", {}},
      {"A=1", {{"A", "1"}}},
      {"A=1;", {{"A", "1"}}},
      {";A=1;;B=2;", {{"A", "1"}, {"B", "2"}}},
      {"A=b=c", {{"A", "b=c"}}},
      {"A=", {{"A", ""}}},
      {"FOO", {}},
      {"FOO;A=1", {{"A", "1"}}},
      {"A=1;A=2", {{"A", "2"}}},
      {" A = 1 ", {{" A ", " 1 "}}},
      {"a=1;A=2", {{"a", "1"}, {"A", "2"}}},
      {"IgnoreUnknown=1;K8S_POD_NAME=web-0", {{"IgnoreUnknown", "1"}, {"K8S_POD_NAME", "web-0"}}},
  };
  for (const auto& [text, args] : cases) {
    CAPTURE(text);
    CHECK(parse_args(text) == args);
  }
}

}  // namespace
}  // namespace sluice::cni

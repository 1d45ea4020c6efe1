// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/request.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

using Catch::Matchers::Contains;

Request read(const std::string& text, Command command = Command::add) {
  return read_request(command, text);
}

TEST_CASE("request: name, version and the whole configuration", "[request]") {
  const Request request = read(R"({"name": "pod.net-1_a", "cniVersion": "1.0.0", "x": 1})");
  CHECK(request.name == "pod.net-1_a");
  CHECK(request.version == "1.0.0");
  CHECK(request.config.at("x") == 1);
}

TEST_CASE("request: without a version it is the oldest", "[request]") {
  for (const char* text : {R"({"name": "n"})", R"({"name": "n", "cniVersion": ""})",
                           R"({"name": "n", "cniVersion": null})"}) {
    CAPTURE(text);
    CHECK(read(text).version == "0.1.0");
  }
}

TEST_CASE("request: keys may be spelled in any case", "[request]") {
  const Request request = read(R"({"NAME": "n", "CNIVERSION": "0.4.0"})");
  CHECK(request.name == "n");
  CHECK(request.version == "0.4.0");
}

TEST_CASE("request: what cannot be decoded or is not valid", "[request]") {
  const std::vector<std::pair<std::string, Code>> bad{
      {"", Code::decoding_failure},
      {"{", Code::decoding_failure},
      {"[]", Code::decoding_failure},
      {"\"x\"", Code::decoding_failure},
      {"5", Code::decoding_failure},
      {R"({"name": "n"} {})", Code::decoding_failure},
      {"null", Code::invalid_config},
      {"{}", Code::invalid_config},
      {R"({"name": ""})", Code::invalid_config},
      {R"({"name": null})", Code::invalid_config},
      {R"({"name": 5})", Code::decoding_failure},
      {R"({"name": ["n"]})", Code::decoding_failure},
      {R"({"name": "a b"})", Code::invalid_config},
      {R"({"name": "-a"})", Code::invalid_config},
      {R"({"name": "a\n"})", Code::invalid_config},
      {R"({"name": "n", "cniVersion": 1})", Code::decoding_failure},
      {R"({"name": "n", "cniVersion": ["1.0.0"]})", Code::decoding_failure},
      // The name comes before the version.
      {R"({"cniVersion": "9.9.9"})", Code::invalid_config},
  };
  for (const auto& [text, code] : bad) {
    CAPTURE(text);
    CHECK(code_thrown_by([&, one = text] { read(one); }) == code);
  }
}

TEST_CASE("request: versions are compared as they are spelled", "[request]") {
  for (const char* version : {"1.0", "v1.0.0", "01.0.0", "1.0.0-rc1", "1.0.0 ", "1.2.0", "0.0.1"}) {
    const Error error =
        thrown_by([&] { read(R"({"name": "n", "cniVersion": ")" + std::string(version) + "\"}"); });
    CAPTURE(version);
    CHECK(code_of(error) == Code::incompatible_version);
    CHECK(error.what() == std::string("incompatible CNI versions"));
    CHECK_THAT(error.details(), Contains(std::string("config is \"") + version + "\"") &&
                                    Contains("\"0.1.0\"") && Contains("\"1.1.0\""));
  }
  for (const std::string& version : supported_versions()) {
    CHECK(read(R"({"name": "n", "cniVersion": ")" + version + "\"}").version == version);
  }
}

TEST_CASE("request: later commands need the version that brought them", "[request]") {
  const std::vector<std::pair<Command, std::string>> oldest{{Command::add, "0.1.0"},
                                                            {Command::del, "0.1.0"},
                                                            {Command::check, "0.4.0"},
                                                            {Command::gc, "1.1.0"},
                                                            {Command::status, "1.1.0"}};
  for (const auto& [command, first] : oldest) {
    for (const std::string& version : supported_versions()) {
      const std::string text = R"({"name": "n", "cniVersion": ")" + version + "\"}";
      CAPTURE(static_cast<int>(command), version);
      if (at_least(version, first)) {
        CHECK(read(text, command).version == version);
      } else {
        CHECK(code_thrown_by([&, asked = command] { read(text, asked); }) ==
              Code::incompatible_version);
      }
    }
  }
}

TEST_CASE("request: versions have an order", "[request]") {
  CHECK(supported_versions() ==
        std::vector<std::string>{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"});
  CHECK(current_version() == "1.1.0");
  CHECK(version_index("0.1.0") == 0);
  CHECK(version_index("1.1.0") == 6);
  CHECK_FALSE(version_index("1.1").has_value());
  CHECK(at_least("0.4.0", "0.4.0"));
  CHECK(at_least("1.0.0", "0.4.0"));
  CHECK_FALSE(at_least("0.3.1", "0.4.0"));
}

}  // namespace
}  // namespace sluice::cni

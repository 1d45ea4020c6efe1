// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/api_server.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "rules/error.h"

namespace sluice::agent {
namespace {

using Catch::Matchers::Contains;

std::string url_of(const char* host, const char* port) {
  for (const auto& [name, value] :
       {std::pair{"KUBERNETES_SERVICE_HOST", host}, std::pair{"KUBERNETES_SERVICE_PORT", port}}) {
    if (value == nullptr) {
      unsetenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
    } else {
      setenv(name, value, 1);  // NOLINT(concurrency-mt-unsafe)
    }
  }
  return ApiConfig::url_of_environment();
}

}  // namespace

TEST_CASE("the API server is where the environment says") {
  CHECK(url_of("10.96.0.1", "443") == "https://10.96.0.1:443");
  CHECK(url_of("fd00::1", "6443") == "https://[fd00::1]:6443");
  CHECK_THROWS_WITH(url_of(nullptr, "443"), Contains("not in a pod"));
  CHECK_THROWS_WITH(url_of("10.96.0.1", nullptr), Contains("not in a pod"));
  CHECK_THROWS_WITH(url_of("", "443"), Contains("not in a pod"));
  CHECK_THROWS_WITH(url_of("kubernetes.default.svc", "443"),
                    Contains("KUBERNETES_SERVICE_HOST") && Contains("kubernetes.default.svc"));
  CHECK_THROWS_WITH(url_of("10.96.0.1/x@y", "443"), Contains("KUBERNETES_SERVICE_HOST"));
  CHECK_THROWS_WITH(url_of("10.96.0.1", "0"), Contains("KUBERNETES_SERVICE_PORT"));
  CHECK_THROWS_WITH(url_of("10.96.0.1", "443/x"), Contains("KUBERNETES_SERVICE_PORT"));
}

TEST_CASE("a part of a path cannot become another path") {
  CHECK(ApiServer::escape("web-0.a_b~C9") == "web-0.a_b~C9");
  CHECK(ApiServer::escape("../a?b=c&d#e %\n") == "..%2Fa%3Fb%3Dc%26d%23e%20%25%0A");
  CHECK(ApiServer::escape("\xc3\xa4") == "%C3%A4");
}

TEST_CASE("a server's message is one short line") {
  CHECK(api_message({.status = 403, .body = R"({"kind":"Status","message":"no\nway"})"}) ==
        "no\\x0away");
  CHECK(api_message({.status = 502, .body = "<html>\r\n"}) == "<html>\\x0d\\x0a");
  CHECK(api_message({.status = 500, .body = ""}) == "HTTP status 500");
  CHECK(api_message({.status = 500, .body = "{}"}) == "HTTP status 500");
  CHECK(api_message({.status = 500, .body = R"({"message":7})"}) == R"({"message":7})");
  CHECK(api_message({.status = 500, .body = std::string(5000, 'x')}).size() == 303);
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <sstream>
#include <string>

#include "agent/install/install_loop.h"
#include "tests/agent/temp_dir.h"

namespace sluice::agent {
namespace {

constexpr const char* good =
    R"(echo '{"cniVersion":"1.1.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}')";

// What try_plugin says of a program with this script.
std::string tried(const TempDir& dir, const std::string& script, mode_t mode = 0700) {
  const auto path = dir / "sluice-cni";
  write_file(path, "#!/bin/sh\n" + script + "\n");
  REQUIRE(chmod(path.c_str(), mode) == 0);
  return try_plugin(path);
}

// Whether the process is gone soon, or only left to be reaped by somebody else.
bool ends(pid_t pid) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (std::chrono::steady_clock::now() < deadline) {
    const std::string state = read_file("/proc/" + std::to_string(pid) + "/stat");
    const std::size_t name_end = state.rfind(')');
    if (name_end == std::string::npos || state.at(name_end + 2) == 'Z') return true;
    usleep(10'000);
  }
  return false;
}

// `pids`: at least one, each on a line.
bool all_end(const std::string& pids) {
  std::istringstream lines(pids);
  int count = 0;
  for (pid_t pid = 0; lines >> pid; ++count) {
    if (!ends(pid)) return false;
  }
  return count > 0;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a program that answers VERSION is fit to be installed") {
  const TempDir dir;
  CHECK(tried(dir, good).empty());
  // It gets the verb, nothing else of our environment, and the configuration that runtimes send.
  CHECK(tried(dir, R"x([ "$CNI_COMMAND" = VERSION ] && [ -z "$HOME" ] &&
[ "$(/bin/cat)" = '{"cniVersion":"1.0.0"}' ] && )x" +
                       std::string(good))
            .empty());
}

TEST_CASE("a program that does not is told with the reason") {
  const TempDir dir;
  CHECK(has(try_plugin(dir / "absent"), "No such file"));
  CHECK(has(tried(dir, good, 0600), "Permission denied"));
  CHECK(has(tried(dir, "exit 3"), "exits with 3"));
  CHECK(has(tried(dir, "kill -SEGV $$"), "signal 11"));
  CHECK(has(tried(dir, "echo '{}'"), "0.3.1"));
  CHECK(has(tried(dir, R"(echo '{"supportedVersions":["0.3.1","0.4.0"]}')"), "1.0.0"));
  CHECK(has(tried(dir, "echo no"), "no JSON"));
  CHECK(has(tried(dir, std::string(good) + "; exit 1"), "exits with 1"));
  CHECK(has(tried(dir, "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"),
            "too much"));
}

TEST_CASE("a program that hangs is killed with its children and reaped") {
  const TempDir dir;
  const auto start = std::chrono::steady_clock::now();
  const std::string pids = dir / "pids";
  SECTION("before it answers") {
    CHECK(has(tried(dir, "echo $$ >>" + pids + "; sleep 1000 & echo $! >>" + pids + "; wait"),
              "2 s"));
  }
  SECTION("after it has answered") {
    CHECK(
        has(tried(dir, "echo $$ >>" + pids + "; " + good + "; exec >&-; exec sleep 1000"), "2 s"));
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(all_end(read_file(pids)));
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/watcher.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/agent/temp_dir.h"

namespace sluice::agent {

namespace fs = std::filesystem;

namespace {

bool make_and_remove(const std::string& path, int times) {
  for (int i = 0; i < times; ++i) {
    if (mkdir(path.c_str(), 0700) != 0 || rmdir(path.c_str()) != 0) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("only what matters in a place is an event") {
  const TempDir dir;
  fs::create_directory(dir / "net");
  fs::create_directory(dir / "bin");
  Watcher watcher({{.dir = dir / "net"}, {.dir = dir / "bin", .name = "sluice-cni"}});
  CHECK_FALSE(watcher.complete());
  CHECK(watcher.arm());
  CHECK(watcher.complete());
  CHECK_FALSE(watcher.drain());
  CHECK_FALSE(watcher.arm());

  write_file(dir / "bin/other", "x");
  write_file(dir / "net/.sluice-tmp-0123456789abcdef", "x");
  CHECK_FALSE(watcher.drain());
  write_file(dir / "net/.sluice-tmp-0123456789abcdeg", "x");
  CHECK(watcher.drain());
  fs::rename(dir / "net/.sluice-tmp-0123456789abcdef", dir / "net/a.conf");
  CHECK(watcher.drain());
  write_file(dir / "bin/sluice-cni", "x");
  CHECK(watcher.drain());
  REQUIRE(chmod((dir / "bin/sluice-cni").c_str(), 0) == 0);
  CHECK(watcher.drain());
  fs::remove(dir / "bin/sluice-cni");
  CHECK(watcher.drain());
  CHECK_FALSE(watcher.drain());
}

TEST_CASE("a directory may come, go, be replaced and lie in one that is replaced") {
  const TempDir dir;
  Watcher watcher({{.dir = dir / "cni/net"}});
  CHECK_FALSE(watcher.arm());
  CHECK_FALSE(watcher.complete());
  CHECK(watcher.fault().empty());
  fs::create_directories(dir / "cni/net");
  CHECK(watcher.arm());
  CHECK(watcher.complete());

  SECTION("removed") {
    fs::remove(dir / "cni/net");
    CHECK(watcher.drain());
    CHECK_FALSE(watcher.complete());
    fs::create_directory(dir / "cni/net");
  }
  SECTION("renamed away") {
    fs::rename(dir / "cni/net", dir / "cni/old");
    fs::create_directory(dir / "cni/net");
    CHECK(watcher.drain());
    CHECK_FALSE(watcher.complete());
  }
  SECTION("its parent renamed away, which no event tells") {
    fs::rename(dir / "cni", dir / "old");
    fs::create_directories(dir / "cni/net");
    CHECK_FALSE(watcher.drain());
  }
  CHECK(watcher.arm());
  CHECK(watcher.complete());
  watcher.drain();
  write_file(dir / "cni/net/a.conf", "x");
  CHECK(watcher.drain());
}

TEST_CASE("events that were lost count as one") {
  const TempDir dir;
  fs::create_directory(dir / "net");
  Watcher watcher({{.dir = dir / "net", .name = "nothing"}});
  watcher.arm();
  // None of them matters by itself; the queue holds 16,384 unless it was set to another length.
  const int more_than_fit = std::stoi(read_file("/proc/sys/fs/inotify/max_queued_events")) + 10;
  REQUIRE(make_and_remove(dir / "net/a", more_than_fit));
  CHECK(watcher.drain());
  CHECK_FALSE(watcher.drain());
  CHECK(watcher.complete());
}

TEST_CASE("two places may be the same directory") {
  const TempDir dir;
  fs::create_directory(dir / "bin");
  Watcher watcher({{.dir = dir / "bin", .name = "a"}, {.dir = dir / "bin/.", .name = "b"}});
  watcher.arm();
  write_file(dir / "bin/a", "x");
  CHECK(watcher.drain());
  write_file(dir / "bin/b", "x");
  CHECK(watcher.drain());
  write_file(dir / "bin/c", "x");
  CHECK_FALSE(watcher.drain());
  fs::remove_all(dir / "bin");
  watcher.drain();
  CHECK_FALSE(watcher.complete());
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/install_loop.h"

#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "rules/kernel/fd.h"
#include "tests/agent/temp_dir.h"

namespace sluice::agent {
namespace {

namespace fs = std::filesystem;

constexpr const char* plugin_script =
    "#!/bin/sh\necho '{\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}'\n";
constexpr const char* calico = R"({"name":"n","plugins":[{"type":"calico"}]})";

// A node with a loop that runs until the end of the test.
class Node {
 public:
  Node() : stop_(eventfd(0, EFD_CLOEXEC)) {
    fs::create_directories(conf_dir());
    fs::create_directories(dir_ / "bin");
    fs::create_directories(dir_ / "image");
    write_file(plugin(), plugin_script);
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  Node(Node&&) = delete;
  Node& operator=(Node&&) = delete;
  ~Node() {
    const std::uint64_t one = 1;
    CHECK(write(stop_.get(), &one, sizeof one) == sizeof one);
    if (thread_.joinable()) thread_.join();
  }

  void start() {
    InstallConfig config{
        .plugin_source = plugin(), .bin_dir = dir_ / "bin", .conf_dir = conf_dir()};
    const InstallHooks hooks{
        .on_pass = [this](const InstallStatus& status, double) { note(to_string(status.outcome)); },
        .on_undone = [this](const char* what) { note(std::string("undone ") + what); }};
    const Log log = [this](cni::LogLevel, const char*, const std::string& text) {
      const std::lock_guard lock(mutex_);
      lines_.push_back(text);
    };
    thread_ = std::thread(
        [this, config, hooks, log] { InstallLoop(config, health, log, hooks).run(stop_.get()); });
  }

  // Polls; nothing here is quicker than the debounce.
  template <typename Condition>
  static bool soon(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }

  bool becomes(const char* part, bool ready) const {
    return soon([&] { return health.parts().at(part).ready == ready; });
  }
  bool says(const std::string& text) const {
    return soon([&] { return health.parts().at("install").why.find(text) != std::string::npos; });
  }
  bool gets_entry(const std::string& name) const {
    return soon([&] { return read_file(conf(name)).find("sluice-cni") != std::string::npos; });
  }
  bool noted(const std::string& what, std::ptrdiff_t times = 1) {
    return soon([&] { return count(what) >= times; });
  }
  std::ptrdiff_t count(const std::string& what) {
    const std::lock_guard lock(mutex_);
    return std::count(notes_.begin(), notes_.end(), what);
  }

  std::string conf_dir() const { return dir_ / "net"; }
  std::string conf(const std::string& name) const { return dir_ / ("net/" + name); }
  std::string plugin() const { return dir_ / "image/sluice-cni"; }
  std::string binary() const { return dir_ / "bin/sluice-cni"; }

  Health health;

 private:
  void note(const std::string& what) {
    const std::lock_guard lock(mutex_);
    notes_.push_back(what);
  }

  TempDir dir_;
  kernel::Fd stop_;
  std::mutex mutex_;
  std::vector<std::string> notes_;
  std::vector<std::string> lines_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("the loop is ready when entry and plugin are in place, and not before") {
  Node node;
  node.start();
  CHECK(node.says("no network configuration"));
  CHECK_FALSE(node.health.parts().at("install").ready);
  CHECK(node.becomes("plugin", true));
  write_file(node.conf("10-calico.conflist"), calico);
  CHECK(node.becomes("install", true));
  CHECK(node.noted("installed"));
  CHECK(node.count("undone entry") == 0);
}

TEST_CASE("a file that cannot be judged does not make the loop unready; one without entry does") {
  Node node;
  write_file(node.conf("10-calico.conflist"), calico);
  node.start();
  REQUIRE(node.becomes("install", true));
  write_file(node.conf("10-calico.conflist"), R"({"name":"n","plugi)");
  CHECK(node.says("cannot be read"));
  CHECK(node.health.parts().at("install").ready);
  write_file(node.conf("10-calico.conflist"),
             R"({"name":"n","plugins":[{"type":"istio-cni"},{"type":"a"}]})");
  CHECK(node.becomes("install", false));
  CHECK(node.noted("blocked"));
  write_file(node.conf("10-calico.conflist"), calico);
  CHECK(node.becomes("install", true));
  fs::remove(node.conf("10-calico.conflist"));
  CHECK(node.becomes("install", false));
}

TEST_CASE("what others undo is put back and told") {
  Node node;
  write_file(node.conf("10-calico.conflist"), calico);
  node.start();
  REQUIRE(node.becomes("install", true));
  write_file(node.conf("10-calico.conflist"), calico);
  CHECK(node.noted("undone entry"));
  CHECK(node.gets_entry("10-calico.conflist"));
  fs::remove(node.binary());
  CHECK(node.noted("undone binary"));
  CHECK(read_file(node.binary()) == plugin_script);
}

TEST_CASE(
    "another network's file that comes first gets the entry, and nobody has undone anything") {
  Node node;
  write_file(node.conf("10-calico.conflist"), calico);
  node.start();
  REQUIRE(node.becomes("install", true));
  write_file(node.conf("05-cilium.conflist"), R"({"name":"c","plugins":[{"type":"cilium-cni"}]})");
  CHECK(node.gets_entry("05-cilium.conflist"));
  CHECK(node.says("05-cilium.conflist"));
  CHECK(node.count("undone entry") == 0);
}

TEST_CASE("a new plugin is installed and tried, one that cannot run is told") {
  Node node;
  write_file(node.conf("10-calico.conflist"), calico);
  node.start();
  REQUIRE(node.becomes("plugin", true));
  write_file(node.plugin(), "#!/bin/sh\nexit 7\n");
  CHECK(node.becomes("plugin", false));
  CHECK(node.health.parts().at("plugin").why.find("exits with 7") != std::string::npos);
  CHECK(node.health.parts().at("install").ready);
  CHECK(node.count("undone binary") == 0);
  write_file(node.plugin(), plugin_script);
  CHECK(node.becomes("plugin", true));
}

TEST_CASE("directories that are replaced are watched again") {
  Node node;
  write_file(node.conf("10-calico.conflist"), calico);
  node.start();
  REQUIRE(node.becomes("install", true));
  fs::rename(node.conf_dir(), node.conf_dir() + ".old");
  CHECK(node.becomes("install", false));
  CHECK(node.says("does not exist"));
  fs::create_directory(node.conf_dir());
  write_file(node.conf("10-calico.conflist"), calico);
  CHECK(node.becomes("install", true));
  fs::remove_all(node.conf_dir());
  fs::create_directory(node.conf_dir());
  write_file(node.conf("20-flannel.conflist"), R"({"name":"f","plugins":[{"type":"flannel"}]})");
  CHECK(node.says("20-flannel"));
  CHECK(node.becomes("install", true));
}

}  // namespace sluice::agent

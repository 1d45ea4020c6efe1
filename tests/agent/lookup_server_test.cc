// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/lookup/lookup_server.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/agent/lookup_peer.h"

namespace sluice::agent {
namespace {

using Clock = std::chrono::steady_clock;

// A server in a thread of its own, asking an API server that is not there.
class Served {
 public:
  explicit Served(const std::string& socket, std::uint32_t peer_uid = geteuid())
      : socket_(socket), stop_(eventfd(0, EFD_CLOEXEC)) {
    cache.put({.name_space = "demo",
               .name = "web-0",
               .uid = "u1",
               .mirror_uid = "m1",
               .object = R"({"metadata":{"name":"web-0","annotations":{"a":"b"}},"spec":{}})"});
    LookupHooks hooks;
    hooks.on_lookup = [this](const char* source, double) {
      const std::lock_guard lock(mutex_);
      sources_.emplace_back(source);
    };
    hooks.on_report = [this](const cni::ReportMessage&) { ++reports; };
    hooks.on_sandbox = [this](const cni::Sandbox& sandbox) {
      const std::lock_guard lock(mutex_);
      sandboxes_.push_back(sandbox.netns);
    };
    hooks.status = [this] { return status; };
    thread_ = std::thread([this, peer_uid, hooks] {
      LookupServer(
          {.socket = socket_, .peer_uid = peer_uid}, {.url = "https://127.0.0.1:1"}, cache, health,
          [this](cni::LogLevel level, const char* component, const std::string& text) {
            const std::lock_guard lock(mutex_);
            log_.push_back(std::string(cni::to_string(level)) + " " + component + " " + text);
          },
          hooks)
          .run(stop_.get());
    });
    wait([this] { return health.parts().at("lookup").ready; });
  }
  Served(const Served&) = delete;
  Served(Served&&) = delete;
  Served& operator=(const Served&) = delete;
  Served& operator=(Served&&) = delete;
  ~Served() { stop(); }

  void stop() {
    if (!thread_.joinable()) return;
    eventfd_write(stop_.get(), 1);
    thread_.join();
  }

  template <class Condition>
  static void wait(Condition condition) {
    const auto end = Clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      if (Clock::now() > end) throw std::runtime_error("waited in vain");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  std::vector<std::string> log() const {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  // An answer is counted after it was sent: waits until there are `count`.
  std::vector<std::string> sources(std::size_t count) const {
    const auto end = Clock::now() + std::chrono::seconds(20);
    while (sources().size() < count && Clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return sources();
  }
  std::vector<std::string> sources() const {
    const std::lock_guard lock(mutex_);
    return sources_;
  }
  std::vector<std::string> sandboxes() const {
    const std::lock_guard lock(mutex_);
    return sandboxes_;
  }
  bool logs(const std::string& line) const {
    const std::vector<std::string> lines = log();
    return std::find(lines.begin(), lines.end(), line) != lines.end();
  }

  PodCache cache = {};
  Health health = {};
  std::string status = {};
  std::atomic<int> reports{0};

 private:
  std::string socket_;
  kernel::Fd stop_;
  mutable std::mutex mutex_ = {};
  std::vector<std::string> log_ = {};
  std::vector<std::string> sources_ = {};
  std::vector<std::string> sandboxes_ = {};
  std::thread thread_ = {};
};

cni::ReportMessage report(const std::vector<cni::ReportMessage::Line>& lines) {
  return {.command = "ADD",
          .sandbox = {.name_space = "demo", .name = "web-0", .netns = "/run/netns/r"},
          .outcome = "redirected",
          .reason = "",
          .code = 0,
          .microseconds = 1,
          .backend = "xtables",
          .plugin_version = "0",
          .log = lines};
}

}  // namespace

TEST_CASE("a pod in the cache is answered, by its UID, its mirror's or without one") {
  const TemporaryFolder folder;
  const Served served(folder / "s");
  const Peer peer(folder / "s");
  for (const char* uid : {"u1", "m1", ""}) {
    const cni::LookupAnswer answer = peer.ask(question("web-0", uid));
    REQUIRE(answer.pod);
    CHECK((*answer.pod)["metadata"]["annotations"]["a"] == "b");
  }
  CHECK(served.sources(3) == std::vector<std::string>{"cache", "cache", "cache"});
  CHECK(served.sandboxes().back() == "/run/netns/web-0");
}

TEST_CASE("annotations that the plugin knows are left out") {
  const TemporaryFolder folder;
  const Served served(folder / "s");
  const cni::LookupAnswer answer = Peer(folder / "s").ask(question("web-0", "u1", true));
  REQUIRE(answer.pod);
  CHECK((*answer.pod)["metadata"] == cni::Json{{"name", "web-0"}});
  CHECK(answer.pod->contains("spec"));
}

TEST_CASE("a pod of the most annotations is delivered, a larger one refused") {
  const TemporaryFolder folder;
  Served served(folder / "s");
  const std::string most(std::size_t{256} * 1024, '"');
  const auto object = [](const std::string& value) {
    return cni::to_line({{"metadata", {{"annotations", {{"a", value}}}}}});
  };
  served.cache.put({.name_space = "demo", .name = "large", .uid = "l", .object = object(most)});
  served.cache.put({.name_space = "demo",
                    .name = "huge",
                    .uid = "h",
                    .object = object(std::string(std::size_t{3} * 1024 * 1024, 'x'))});
  const Peer peer(folder / "s");
  const cni::LookupAnswer answer = peer.ask(question("large"));
  REQUIRE(answer.pod);
  CHECK((*answer.pod)["metadata"]["annotations"]["a"] == most);
  const cni::LookupAnswer refused = peer.ask(question("huge"));
  CHECK_FALSE(refused.pod);
  CHECK_FALSE(refused.unknown.empty());
  CHECK(peer.ask(question("web-0")).pod);
}

TEST_CASE("where the API server cannot be asked the plugin is told so, and how") {
  const TemporaryFolder folder;
  const Served served(folder / "s");
  const Peer peer(folder / "s");
  const auto start = Clock::now();
  const cni::LookupAnswer answer = peer.ask(question("web-1", "u2"));
  CHECK(Clock::now() - start < std::chrono::seconds(10));
  CHECK_FALSE(answer.pod);
  CHECK_THAT(answer.unknown, Catch::Contains("the API server cannot be asked"));
  CHECK(served.sources(1) == std::vector<std::string>{"none"});
  // A StatefulSet's former pod is not the one that is asked for.
  CHECK_FALSE(peer.ask(question("web-0", "another")).pod);
}

TEST_CASE("what cannot be a pod's name is not asked for") {
  const TemporaryFolder folder;
  const Served served(folder / "s");
  const Peer peer(folder / "s");
  for (const char* name : {"", ".", "..", "../secrets/x", "a/b", "a?x=y", "A", "a b", "a%2fb", "-a",
                           "a.", "\xff", "a\n"}) {
    CAPTURE(name);
    CHECK_THAT(peer.ask(question(name)).unknown, Catch::Contains("are no pod's"));
  }
  CHECK_THAT(peer.ask(question(std::string(254, 'a'))).unknown, Catch::Contains("are no pod's"));
  CHECK_THAT(peer.ask(question(std::string(253, 'a'))).unknown, !Catch::Contains("are no pod's"));
  CHECK(served.sandboxes().size() == 1);
}

TEST_CASE("a peer of another UID is dropped unheard") {
  const TemporaryFolder folder;
  const Served served(folder / "s", geteuid() + 1);
  const Peer peer(folder / "s");
  REQUIRE(peer.error() == 0);
  peer.say(cni::print_report(report({})));
  CHECK(peer.hear().value_or("?").empty());
  CHECK(served.reports == 0);
  Served::wait([&] { return !served.log().empty(); });
  CHECK_THAT(served.log().front(), Catch::Contains("UID " + std::to_string(geteuid())));
}

TEST_CASE("what is no message ends its connection and no other") {
  const TemporaryFolder folder;
  const Served served(folder / "s");
  const Peer good(folder / "s");
  const std::string deep(std::size_t{1} << 20U, '[');
  const std::string large(std::size_t{3} << 20U, ' ');
  for (const std::string& packet :
       {std::string("garbage"), std::string("{"), std::string("{}"), std::string("[]"),
        std::string("null"), std::string("\0\0\0", 3), std::string("\xff\xfe"), deep, large,
        std::string(R"({"kind":7})"), std::string(R"({"version":2,"kind":"newer"})"),
        std::string(R"({"kind":"lookup","deadlineMs":-1})"),
        std::string(R"({"kind":"report","log":"x"})"), std::string()}) {
    CAPTURE(packet.substr(0, 40));
    const Peer bad(folder / "s");
    bad.say(packet);  // the large one may not be sent at all
    shutdown(bad.fd(), SHUT_WR);
    CHECK(bad.is_dropped());
    CHECK(good.ask(question("web-0")).pod);
  }
}

TEST_CASE("an older and a newer plugin are answered") {
  const TemporaryFolder folder;
  const Served served(folder / "s");
  const Peer peer(folder / "s");
  for (const char* packet :
       {R"({"version":99,"kind":"lookup","new":[1],"deadlineMs":9000,
            "sandbox":{"namespace":"demo","name":"web-0","uid":"u1","cgroup":{}}})",
        R"({"kind":"lookup","sandbox":{"namespace":"demo","name":"web-0"}})"}) {
    REQUIRE(peer.say(packet));
    CHECK(cni::parse_lookup_answer(peer.hear().value_or("")).pod);
  }
}

TEST_CASE("a status comes in packets, ended by an empty one") {
  const TemporaryFolder folder;
  Served served(folder / "s");
  for (const std::size_t size : {0U, 10U, 64U * 1024, 1'000'000U}) {
    served.status = std::string(size, 'x');
    const Peer peer(folder / "s");
    REQUIRE(peer.say(cni::print_status_request()));
    std::string all;
    for (;;) {
      const std::optional<std::string> packet = peer.hear();
      REQUIRE(packet);
      if (packet->empty()) break;
      all += *packet;
    }
    CHECK(all.size() == size);
  }
}

TEST_CASE("a peer that asks and does not read holds up nobody and is dropped") {
  const TemporaryFolder folder;
  Served served(folder / "s");
  served.status = std::string(4'000'000, 'x');
  const Peer deaf(folder / "s");
  REQUIRE(deaf.say(cni::print_status_request()));
  CHECK(Peer(folder / "s").ask(question("web-0")).pod);
  // It is let go although it reads nothing, not even what is there.
  Served::wait([&] {
    pollfd state{.fd = deaf.fd(), .events = 0, .revents = 0};
    return poll(&state, 1, 0) == 1 && (state.revents & POLLHUP) != 0;
  });
}

TEST_CASE("more connections than are served at a time do not shut anybody out") {
  const TemporaryFolder folder;
  const Served served(folder / "s");
  std::vector<Peer> idle;
  idle.reserve(300);
  for (int i = 0; i < 300; ++i) {
    idle.emplace_back(folder / "s");
    REQUIRE(idle.back().error() == 0);
  }
  CHECK(Peer(folder / "s").ask(question("web-0")).pod);
}

TEST_CASE("300 at once are all answered") {
  const TemporaryFolder folder;
  const Served served(folder / "s");
  std::vector<Peer> peers;
  peers.reserve(300);
  for (int i = 0; i < 300; ++i) {
    peers.emplace_back(folder / "s");
    REQUIRE(peers.back().say(cni::print_lookup(question("web-0"))));
  }
  for (const Peer& peer : peers) {
    CHECK(cni::parse_lookup_answer(peer.hear().value_or("")).pod);
  }
}

TEST_CASE("the plugin's log is passed on with its pod and its level, on one line each") {
  const TemporaryFolder folder;
  const Served served(folder / "s");
  {
    const Peer peer(folder / "s");
    REQUIRE(peer.say(cni::print_report(report({{"info", "demo/web-0: redirected"},
                                               {"error", "cannot do it"},
                                               {"shout", "a\nb\x1b[31m"},
                                               {"debug", std::string(9000, 'x')}}))));
  }
  Served::wait([&] { return served.log().size() == 4; });
  CHECK(served.reports == 1);
  CHECK(served.sandboxes() == std::vector<std::string>{"/run/netns/r"});
  CHECK(served.logs("info plugin demo/web-0: redirected"));
  CHECK(served.logs("error plugin demo/web-0: cannot do it"));
  CHECK(served.logs("info plugin demo/web-0: a\\x0ab\\x1b[31m"));
  CHECK(served.log().back().size() < 5000);
}

TEST_CASE("a flood of reports is counted whole and logged in part") {
  const TemporaryFolder folder;
  const Served served(folder / "s");
  constexpr int packets = 300;
  const std::vector<cni::ReportMessage::Line> lines(20, {"info", "demo/web-0: said"});
  const auto start = Clock::now();
  const Peer peer(folder / "s");
  for (int i = 0; i < packets; ++i) REQUIRE(peer.say(cni::print_report(report(lines))));
  Served::wait([&] { return served.reports == packets; });
  const auto took = std::chrono::ceil<std::chrono::seconds>(Clock::now() - start).count();
  const auto said = [&] {
    const std::vector<std::string> log = served.log();
    return std::count(log.begin(), log.end(), "info plugin demo/web-0: said");
  };
  CHECK(said() <= 1000 * (took + 1));
  // What was left out is told, to the last line.
  const auto left_out = [&] {
    long dropped = 0;
    for (const std::string& line : served.log()) {
      if (line.find("left out") != std::string::npos) {
        dropped += std::stol(line.substr(line.find_first_of("0123456789")));
      }
    }
    return dropped;
  };
  Served::wait([&] { return said() + left_out() == packets * 20; });
}

TEST_CASE("it stops within a second, whoever is connected") {
  const TemporaryFolder folder;
  Served served(folder / "s");
  const Peer idle(folder / "s");
  CHECK(idle.ask(question("web-0")).pod);
  const auto start = Clock::now();
  served.stop();
  CHECK(Clock::now() - start < std::chrono::seconds(1));
  CHECK(idle.is_dropped());
  CHECK_FALSE(served.health.parts().at("lookup").ready);
  // What it leaves behind refuses at once.
  CHECK(Peer(folder / "s").error() == ECONNREFUSED);
}

TEST_CASE("a successor takes over with no question refused or lost") {
  const TemporaryFolder folder;
  auto served = std::make_unique<Served>(folder / "s");
  std::atomic<bool> done{false};
  std::atomic<int> refused{0};
  std::atomic<int> lost{0};
  std::atomic<int> answered{0};
  std::vector<std::thread> askers;
  askers.reserve(4);
  for (int i = 0; i < 4; ++i) {
    askers.emplace_back([&] {
      while (!done) {
        const Peer peer(folder / "s");
        if (peer.error() != 0) {
          ++refused;
          continue;
        }
        peer.say(cni::print_lookup(question("web-0")));
        const std::optional<std::string> answer = peer.hear();
        ++(answer && !answer->empty() ? answered : lost);
      }
    });
  }
  for (int i = 0; i < 10; ++i) {
    const int before = answered;
    Served::wait([&] { return answered >= before + 20; });
    auto successor = std::make_unique<Served>(folder / "s");
    served = std::move(successor);
  }
  done = true;
  for (std::thread& asker : askers) asker.join();
  CHECK(refused == 0);
  CHECK(lost == 0);
}

TEST_CASE("a socket that somebody removed is made anew") {
  const TemporaryFolder folder;
  const Served served(folder / "s");
  REQUIRE(unlink((folder / "s").c_str()) == 0);
  Served::wait([&] { return Peer(folder / "s").error() == 0; });
  CHECK(Peer(folder / "s").ask(question("web-0")).pod);
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// Opening network namespaces, running in them, locking them.
#include "rules/kernel/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <variant>

#include <linux/capability.h>
#include <linux/nsfs.h>

#include "rules/error.h"
#include "rules/kernel/pod_namespace.h"
#include "tests/kernel/child.h"
#include "tests/kernel/refusal.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

constexpr unsigned hang_limit_s = 20;
constexpr uid_t nobody = 65534;

// A directory of its own for each test.
class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = "/tmp/sluice-kernel-test-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), "mkdtemp");
    }
    path_ = pattern;
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory(TestDirectory&&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  TestDirectory& operator=(TestDirectory&&) = delete;
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string own_netns() {
  return std::filesystem::read_symlink("/proc/thread-self/ns/net");
}

void check_not_a_netns(const std::string& path) {
  INFO(path.substr(0, 80));
  alarm(hang_limit_s);  // ends the program if the path blocks
  const std::variant<Netns, NotNetns> opened = Netns::open(path);
  alarm(0);
  REQUIRE(std::holds_alternative<NotNetns>(opened));
  CHECK_FALSE(std::get<NotNetns>(opened).absent);
  CHECK(std::get<NotNetns>(opened).reason == "is not a network namespace");
}

void check_absent(const std::string& path) {
  INFO(path);
  const std::variant<Netns, NotNetns> opened = Netns::open(path);
  REQUIRE(std::holds_alternative<NotNetns>(opened));
  CHECK(std::get<NotNetns>(opened).absent);
  CHECK(std::get<NotNetns>(opened).reason == "does not exist");
}

void bind_unix_socket(const std::string& path) {
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

TEST_CASE("what is not there is told apart from what is no network namespace") {
  const TestDirectory directory;
  check_absent(directory / "nothing");
  check_absent(directory / "no/such/directory");
  check_absent("");
  check_absent("/proc/999999999/ns/net");
  std::filesystem::create_symlink(directory / "nothing", directory / "dangling");
  check_absent(directory / "dangling");
}

TEST_CASE("files of other kinds are no network namespaces, and none of them blocks") {
  const TestDirectory directory;
  const Fd regular(open((directory / "file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  check_not_a_netns(directory / "file");
  check_not_a_netns(directory / "file/below");
  check_not_a_netns(directory / "");
  REQUIRE(mkfifo((directory / "fifo").c_str(), 0600) == 0);
  check_not_a_netns(directory / "fifo");
  bind_unix_socket(directory / "socket");
  check_not_a_netns(directory / "socket");
  std::filesystem::create_symlink(directory / "loop", directory / "loop");
  check_not_a_netns(directory / "loop");
  check_not_a_netns("/" + std::string(5000, 'x'));
  check_not_a_netns("/" + std::string(300, 'x'));
  for (const char* path : {"/dev/null", "/dev/zero", "/dev/tty", "/proc/self/ns", "/proc/self/maps",
                           "/proc/self/ns/mnt", "/proc/self/ns/user", "/proc/self/ns/pid",
                           "/proc/self/ns/uts", "/proc/self/ns/ipc", "/proc/self/ns/cgroup"}) {
    check_not_a_netns(path);
  }
}

TEST_CASE("a path that cannot be judged is an error") {
  const TestDirectory directory;
  std::filesystem::create_directory(directory / "private");
  REQUIRE(chmod((directory / "").c_str(), 0755) == 0);
  REQUIRE(chmod((directory / "private").c_str(), 0700) == 0);
  const auto outcome = [&] {
    try {
      const auto opened = Netns::open(directory / "private/netns");
      return std::string(std::holds_alternative<Netns>(opened) ? "opened" : "judged");
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  const std::string prefix = "open \"" + (directory / "private/netns") + "\": ";
  CHECK(in_child([&] {
          if (setgid(nobody) != 0 || setuid(nobody) != 0) return std::string("setuid");
          return outcome();
        }) == prefix + "Permission denied");
  CHECK(in_child([&] {
          const rlimit none{.rlim_cur = 0, .rlim_max = 0};
          if (setrlimit(RLIMIT_NOFILE, &none) != 0) return std::string("setrlimit");
          return outcome();
        }) == prefix + "Too many open files");
  const TestNetns netns;
  CHECK(in_child([&] {
          refuse(SYS_ioctl, {{.index = 1, .value = NS_GET_NSTYPE}}, EPERM);
          try {
            return std::string(Netns::open(netns.path()).index() == 0 ? "opened" : "judged");
          } catch (const Error& error) {
            return std::string(error.what());
          }
        }) == "ask what kind of namespace \"" + netns.path() + "\" is: Operation not permitted");
}

TEST_CASE("the own namespace is told apart from others") {
  const TestNetns netns;
  CHECK_FALSE(netns.netns().is_own());
  CHECK(std::get<Netns>(Netns::open("/proc/self/ns/net")).is_own());
  CHECK(std::get<Netns>(Netns::open("/proc/thread-self/ns/net")).is_own());
  netns.inside([&] { CHECK(std::get<Netns>(Netns::open("/proc/thread-self/ns/net")).is_own()); });
}

TEST_CASE("run is inside while it runs and outside after it, by exception too") {
  const TestNetns netns;
  const std::string own = own_netns();
  std::string during;
  netns.netns().run([&] { during = own_netns(); });
  CHECK(during == "net:[" + [&] {
    struct stat status {};
    fstat(netns.fd(), &status);
    return std::to_string(status.st_ino);
  }() + "]");
  CHECK(during != own);
  CHECK(own_netns() == own);
  CHECK_THROWS_AS(netns.netns().run([] { throw std::logic_error("thrown inside"); }),
                  std::logic_error);
  CHECK(own_netns() == own);
  // 7 is not derived from anything.
  CHECK_THROWS_AS(netns.netns().run([] { throw 7; }), int);
  CHECK(own_netns() == own);
}

TEST_CASE("who stays acts in the namespace and needs no way back") {
  const TestNetns netns;
  const std::string own = own_netns();
  CHECK(in_child([&] {
          Netns pod = std::get<Netns>(Netns::open(netns.path()));
          pod.stay();
          refuse(SYS_setns, {}, ENOMEM);
          pod.stay();
          std::string during;
          pod.run([&] { during = own_netns(); });
          return during != own && during == own_netns() && !pod.is_own() ? "there" : during;
        }) == "there");
  CHECK(own_netns() == own);
}

TEST_CASE("a namespace that cannot be entered is said, with the capability that it takes") {
  const TestNetns netns;
  const auto said = [&](const std::function<void()>& weaken) {
    return in_child([&] {
      weaken();
      try {
        const OpenedNamespace opened = enter_pod_namespace(netns.path());
        std::get<std::unique_ptr<PodNamespace>>(opened)->links();
      } catch (const Error& error) {
        return std::string(error.what());
      }
      return std::string("entered");
    });
  };
  CHECK(said([] {}) == "entered");
  CHECK(said([] { drop_capability(CAP_SYS_ADMIN); }) ==
        "enter the network namespace (needs CAP_SYS_ADMIN): Operation not permitted");
  CHECK(said([] { refuse(SYS_setns, {}, ENOMEM); }) ==
        "enter the network namespace: Cannot allocate memory");
}

TEST_CASE("a pod's namespace is entered for good by what needs it first") {
  const TestNetns netns;
  CHECK(in_child([&] {
          const std::string own = own_netns();
          const OpenedNamespace opened = enter_pod_namespace(netns.path());
          PodNamespace& pod = *std::get<std::unique_ptr<PodNamespace>>(opened);
          if (pod.is_own() || own_netns() != own) return std::string("too early");
          if (pod.links().size() != 1 || own_netns() == own) return std::string("not there");
          refuse(SYS_setns, {}, ENOMEM);
          const Interception wanted{
              .rulesets = {
                  {.family = Family::ipv4,
                   .tables = {{.table = Table::nat, .chains = {{.name = "ISTIO_OUTPUT"}}}}}}};
          pod.backend({}).apply(wanted);
          return std::string(pod.backend({}).read().rulesets.at(0).tables.empty() ? "" : "written");
        }) == "written");
  CHECK(netns.save(Family::ipv4).find("ISTIO_OUTPUT") != std::string::npos);
}

TEST_CASE("a namespace whose path and processes are gone still works") {
  std::unique_ptr<Companion> holder;
  holder = std::make_unique<Companion>([](const Companion::Line& line) {
    if (unshare(CLONE_NEWNET) != 0) throw std::runtime_error("unshare");
    line.ready();
    while (!line.stopping(100'000)) continue;
  });
  const std::string path = "/proc/" + std::to_string(holder->pid()) + "/ns/net";
  const auto netns = std::get<Netns>(Netns::open(path));
  CHECK_FALSE(netns.is_own());
  holder.reset();
  check_absent(path);
  const std::string own = own_netns();
  PodBackend backend(netns, {.backend = BackendChoice::xtables}, "sluice");
  CHECK(backend.read().rulesets.size() == 2);
  CHECK(backend
            .apply({.rulesets = {{.family = Family::ipv4,
                                  .tables = {{.table = Table::nat,
                                              .chains = {{.name = "ISTIO_OUTPUT"}}}}}}})
            .empty());
  CHECK(backend.read().rulesets.at(0).tables.size() == 1);
  CHECK(own_netns() == own);
}

TEST_CASE("a pod's namespace is opened with its backend") {
  const TestNetns netns;
  OpenedNamespace opened = open_pod_namespace(netns.path());
  REQUIRE(std::holds_alternative<std::unique_ptr<PodNamespace>>(opened));
  PodNamespace& pod = *std::get<std::unique_ptr<PodNamespace>>(opened);
  CHECK_FALSE(pod.is_own());
  CHECK(pod.links().size() == 1);
  REQUIRE(pod.link("lo"));
  CHECK(pod.link("lo")->loopback);
  CHECK_FALSE(pod.link("eth0"));
  CHECK(pod.loopback_has_ipv6());
  netns.set_sysctl("net/ipv6/conf/lo/disable_ipv6", "1");
  CHECK_FALSE(pod.loopback_has_ipv6());
  CHECK(pod.backend({}).read().loopback_addresses.empty());
  opened = open_pod_namespace("/dev/null");
  REQUIRE(std::holds_alternative<NotNetns>(opened));
  CHECK(std::get<NotNetns>(opened).reason == "is not a network namespace");
}

}  // namespace
}  // namespace sluice::kernel

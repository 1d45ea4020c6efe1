// SPDX-License-Identifier: GPL-2.0-or-later
// Pods with a user namespace of their own.
#include "rules/kernel/user_namespace.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

#include "rules/diff.h"
#include "rules/error.h"
#include "rules/kernel/nft/tables.h"
#include "rules/kernel/pod_backend.h"
#include "rules/kernel/xt/table.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/pod_user_namespace.h"

namespace sluice::kernel {
namespace {

constexpr std::uint16_t proxy_port = 15001;
constexpr uid_t first_id = 100000;  // on the host, of the pod's root

std::vector<BackendChoice> offered_backends(const TestNetns& netns) {
  std::vector<BackendChoice> all{BackendChoice::xtables};
  netns.inside([&] {
    if (nft::is_offered()) all.push_back(BackendChoice::nftables);
  });
  return all;
}

// An interface whose other end answers nothing.
void add_link(const TestNetns& netns) {
  netns.must({"ip", "link", "set", "lo", "up"});
  netns.must({"ip", "link", "add", "eth0", "type", "veth", "peer", "name", "peer"});
  netns.must({"ip", "addr", "add", "10.96.0.2/24", "dev", "eth0"});
  netns.must({"ip", "link", "set", "eth0", "up"});
  netns.must({"ip", "link", "set", "peer", "up"});
}

sockaddr_in address_of(const char* address, std::uint16_t port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  inet_pton(AF_INET, address, &name.sin_addr);
  return name;
}

// Whether a connection of this user of the pod beyond it ends at the proxy's port.
std::string where_to(const TestNetns& netns, uid_t inside) {
  return in_child([&] {
    const uid_t id = first_id + inside;
    if (setns(netns.fd(), CLONE_NEWNET) != 0) return std::string("setns");
    const Fd listener(socket(AF_INET, SOCK_STREAM, 0));
    const sockaddr_in here = address_of("127.0.0.1", proxy_port);
    if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0 ||
        listen(listener.get(), 1) != 0) {
      return std::string("listen");
    }
    if (setgroups(0, nullptr) != 0 || setgid(id) != 0 || setuid(id) != 0) {
      return std::string("become the user");
    }
    const Fd client(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    const sockaddr_in there = address_of("10.96.0.9", 80);
    static_cast<void>(
        connect(client.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there));
    pollfd ready{.fd = listener.get(), .events = POLLIN, .revents = 0};
    return std::string(poll(&ready, 1, 500) == 1 ? "proxy" : "beyond");
  });
}

TEST_CASE("the owner of a network namespace is told", "[userns]") {
  PodUserNamespace pod;
  const Netns::Owner& theirs = pod.netns().netns().owner();
  CHECK_FALSE(theirs.is_own);
  CHECK(theirs.fd);
  const TestNetns netns;
  CHECK(netns.netns().owner().is_own);
  CHECK(in_child([&] {
          if (unshare(CLONE_NEWUSER) != 0) return std::string("unshare");
          const auto opened = Netns::open(netns.path());
          const Netns::Owner& ancestor = std::get<Netns>(opened).owner();
          return std::string(ancestor.is_own ? "own" : "") + (ancestor.fd ? "known" : "unknown");
        }) == "unknown");
}

TEST_CASE("a pod with a user namespace is redirected for its own users", "[userns]") {
  PodUserNamespace pod;
  TestNetns& netns = pod.netns();
  add_link(netns);
  for (const BackendChoice choice : offered_backends(netns)) {
    PodBackend backend(netns.netns(), {.backend = choice}, "sluice");
    INFO(backend.name());
    const Interception wanted = both_families(small_config());
    CHECK(backend.apply(wanted).empty());
    CHECK(diff(wanted, backend.read()).empty());
    CHECK(where_to(netns, 1000) == "proxy");
    CHECK(where_to(netns, 1337) == "beyond");
    CHECK(backend.apply(wanted).empty());
    CHECK(backend.remove().empty());
    CHECK(diff(Interception{}, backend.read()).empty());
    CHECK(netns.addresses().find("00000000000000000000000000000006") == std::string::npos);
    CHECK(where_to(netns, 1000) == "beyond");
  }
}

TEST_CASE("the choice for a pod with a user namespace", "[userns]") {
  PodUserNamespace pod;
  const TestNetns& netns = pod.netns();
  const Choice choice = choose_in(netns.netns(), {});
  CHECK(choice.backend == offered_backends(netns).back());
  CHECK_THAT(choice.reason, Catch::StartsWith("the pod has a user namespace of its own"));
  CHECK(choose_in(netns.netns(), {.choice = BackendChoice::xtables}).backend ==
        BackendChoice::xtables);
}

// Where nf_tables is offered: the rules that an init container wrote by x_tables go all the same.
TEST_CASE("whichever is chosen empties both", "[userns]") {
  PodUserNamespace pod;
  TestNetns& netns = pod.netns();
  const Interception wanted = ipv4_only(small_config());
  PodBackend(netns.netns(), {.backend = BackendChoice::xtables}, "sluice").apply(wanted);
  // An owner match of somebody else's: its table can only be written from within too.
  in_user_namespace(pod.user_namespace(), netns.fd(), []() -> Notices {
    const auto table = xt::XtTable::open(Family::ipv4, Table::nat);
    table->append("POSTROUTING", {.matches = {Owner{.uid = OwnerRange{.first = 7, .last = 7}}}});
    if (!table->commit()) throw std::runtime_error("commit");
    return {};
  });
  for (const BackendChoice choice : offered_backends(netns)) {
    PodBackend backend(netns.netns(), {.backend = choice}, "sluice");
    INFO(backend.name());
    backend.apply(wanted);
    CHECK(diff(wanted, backend.read()).empty());
  }
  PodBackend(netns.netns(), {.backend = offered_backends(netns).back()}, "sluice").remove();
  const std::string left = netns.save(Family::ipv4);
  CHECK(left.find("ISTIO") == std::string::npos);
  CHECK(left.find("--uid-owner 7") != std::string::npos);
}

TEST_CASE("IDs that the pod's user namespace does not map are refused", "[userns]") {
  PodUserNamespace pod("0 100000 1");
  TestNetns& netns = pod.netns();
  try {
    netns.backend().apply(both_families(small_config()));
    FAIL("the kernel took the rules");
  } catch (const Error& error) {
    CHECK(error.code() == std::errc::invalid_argument);
    CHECK_THAT(error.what(), Catch::StartsWith("commit IPv4 table nat (an owner match takes only "
                                               "UIDs and GIDs that the pod's user namespace maps"));
  }
  CHECK(diff(Interception{}, netns.backend().read()).empty());
  CHECK(netns.addresses().find("00000000000000000000000000000006") == std::string::npos);
}

std::string error_of(PodUserNamespace& pod, const std::function<Notices()>& action) {
  try {
    in_user_namespace(pod.user_namespace(), pod.netns().fd(), action);
  } catch (const Error& error) {
    return std::to_string(error.code().default_error_condition().value()) + " " + error.what();
  }
  return "done";
}

TEST_CASE("notices come back from a user namespace, within bounds", "[userns]") {
  PodUserNamespace pod;
  const auto run = [&](const Notices& said) {
    return in_user_namespace(pod.user_namespace(), pod.netns().fd(), [&] { return said; });
  };
  CHECK(run({}).empty());
  CHECK(run({"one", "", "end", "two\nlines"}) == Notices{"one", "", "end", "two lines"});
  CHECK(run(Notices(1000, std::string(5000, 'x'))) == Notices(64, std::string(1000, 'x') + "..."));
}

TEST_CASE("what works in a user namespace is in both namespaces and nowhere else", "[userns]") {
  PodUserNamespace pod;
  const pid_t test = getpid();
  const Notices where = in_user_namespace(pod.user_namespace(), pod.netns().fd(), [&]() -> Notices {
    return {getpid() == test ? "the test's process" : "a child",
            read_file("/proc/thread-self/uid_map"),
            pod.netns().netns().owner().is_own ? "inside" : "outside"};
  });
  REQUIRE(where.size() == 3);
  CHECK(where[0] == "a child");
  CHECK_THAT(where[1], Catch::Contains("100000"));
  CHECK(where[2] == "inside");
  CHECK_FALSE(pod.netns().netns().owner().is_own);
}

TEST_CASE("failures in a user namespace come back as they are", "[userns]") {
  PodUserNamespace pod;
  CHECK(error_of(pod, []() -> Notices { throw Error(EAGAIN, "commit"); }) ==
        std::to_string(EAGAIN) + " commit: Resource temporarily unavailable");
  CHECK(error_of(pod, []() -> Notices { throw std::runtime_error("no memory"); }) ==
        std::to_string(EIO) + " no memory");
}

TEST_CASE("a child that dies in a user namespace is told of", "[userns]") {
  PodUserNamespace pod;
  const std::string child =
      std::to_string(EIO) + " the child that works in the pod's user namespace ";
  CHECK(error_of(pod, []() -> Notices {
          std::raise(SIGKILL);
          return {};
        }) == child + "was killed by signal 9");
  CHECK(error_of(pod, []() -> Notices { _exit(3); }) == child + "ended with status 3");
}

// What is at the other end of a pipe that the last holder of its writing end has closed.
bool is_at_end(const Fd& reader) {
  char byte = 0;
  pollfd ready{.fd = reader.get(), .events = POLLIN, .revents = 0};
  return poll(&ready, 1, 5000) == 1 && read(reader.get(), &byte, 1) == 0;
}

// A parent, holding the writing end alone, that is killed while its child is at work in there.
TEST_CASE("a child in a user namespace dies with its parent", "[userns]") {
  PodUserNamespace pod;
  std::array<int, 2> ends{};
  REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  const pid_t parent = fork();
  REQUIRE(parent >= 0);
  if (parent == 0) {
    in_user_namespace(pod.user_namespace(), pod.netns().fd(), [&]() -> Notices {
      kill(getppid(), SIGKILL);
      sleep(60);
      return {};
    });
    _exit(0);
  }
  writer = Fd();
  int status = 0;
  REQUIRE(waitpid(parent, &status, 0) == parent);
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK(is_at_end(reader));
}

TEST_CASE("a child in a user namespace has none of the process's own streams", "[userns]") {
  PodUserNamespace pod;
  const Notices streams =
      in_user_namespace(pod.user_namespace(), pod.netns().fd(), []() -> Notices {
        Notices found;
        for (const char* fd : {"0", "1", "2"}) {
          std::array<char, 64> target{};
          const std::string path = std::string("/proc/self/fd/") + fd;
          const ssize_t size = readlink(path.c_str(), target.data(), target.size());
          found.emplace_back(target.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
        }
        return found;
      });
  REQUIRE(streams.size() == 3);
  for (const std::string& target : streams) CHECK_THAT(target, Catch::StartsWith("user:["));
}

// Its parent's process ID is nothing that it could ask for there.
TEST_CASE("a child in a user namespace may be in a PID namespace of its own", "[userns]") {
  PodUserNamespace pod;
  CHECK(in_child([&] {
          if (unshare(CLONE_NEWPID) != 0) return std::string("unshare");
          return error_of(pod, [] { return Notices{}; });
        }) == "done");
}

TEST_CASE("what is no user namespace is not entered", "[userns]") {
  const TestNetns netns;
  const Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK_THROWS_WITH(in_user_namespace(file, netns.fd(), [] { return Notices{}; }),
                    "enter the pod's user namespace: Invalid argument");
}

}  // namespace
}  // namespace sluice::kernel

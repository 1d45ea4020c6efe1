// SPDX-License-Identifier: GPL-2.0-or-later
// The child that works in a pod's user namespace.
#include "rules/kernel/user_namespace.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
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

#include "rules/error.h"
#include "tests/kernel/child.h"
#include "tests/kernel/pod_user_namespace.h"

namespace sluice::kernel {
namespace {

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

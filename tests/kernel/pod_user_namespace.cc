// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/pod_user_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <system_error>

namespace sluice::kernel {
namespace {

constexpr unsigned longest_life_s = 60;

void check(bool done, const char* doing) {
  if (!done) throw std::system_error(errno, std::generic_category(), doing);
}

void tell(const Fd& line) {
  check(write(line.get(), "x", 1) == 1, "tell the other side");
}

void wait_for(const Fd& line) {
  char byte = 0;
  check(read(line.get(), &byte, 1) == 1, "hear from the other side");
}

// Makes the namespaces, which live on in the files that the test opens.
[[noreturn]] void be_child(const Fd& line) {
  alarm(longest_life_s);
  try {
    check(unshare(CLONE_NEWUSER) == 0, "unshare a user namespace");
    tell(line);
    wait_for(line);
    // /proc/net belongs to the pod's root only if that is mapped by now.
    check(unshare(CLONE_NEWNET) == 0, "unshare a network namespace");
    tell(line);
    wait_for(line);
  } catch (const std::system_error&) {
    _exit(1);
  }
  _exit(0);
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  check(file.good(), path.c_str());
}

Fd open_file(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  check(static_cast<bool>(fd), path.c_str());
  return fd;
}

}  // namespace

PodUserNamespace::Fds PodUserNamespace::create(const std::string& map) {
  std::array<int, 2> ends{};
  check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0, "socketpair");
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  const pid_t pid = fork();
  check(pid >= 0, "fork");
  if (pid == 0) {
    ours = Fd();
    be_child(theirs);
  }
  theirs = Fd();
  wait_for(ours);
  const std::string proc = "/proc/" + std::to_string(pid);
  write_file(proc + "/uid_map", map + "\n");
  write_file(proc + "/gid_map", map + "\n");
  tell(ours);
  wait_for(ours);
  Fds fds{.user_namespace = open_file(proc + "/ns/user"), .netns = open_file(proc + "/ns/net")};
  tell(ours);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
  return fds;
}

}  // namespace sluice::kernel

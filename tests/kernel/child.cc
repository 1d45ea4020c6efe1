// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/child.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <exception>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace sluice::kernel {
namespace {

constexpr unsigned longest_life_s = 60;
constexpr int failed_status = 99;

[[noreturn]] void fail(const char* doing) {
  throw std::system_error(errno, std::generic_category(), doing);
}

// A file in memory instead of a pipe: neither side ever waits for the other.
Fd memory_file(const std::string& text) {
  Fd file(memfd_create("sluice-test", MFD_CLOEXEC));
  if (!file) fail("memfd_create");
  if (pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    fail("write a file in memory");
  }
  return file;
}

std::string contents(const Fd& file) {
  std::string text;
  std::array<char, 65536> chunk{};
  for (;;) {
    const ssize_t size =
        pread(file.get(), chunk.data(), chunk.size(), static_cast<off_t>(text.size()));
    if (size < 0) fail("read a file in memory");
    if (size == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(size));
  }
}

int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) fail("waitpid");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Forks; the child's alarm ends it should it hang.
pid_t start_child() {
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) alarm(longest_life_s);
  return pid;
}

// Starts a program without fork(2), which costs milliseconds where a sanitizer has mapped half of
// the address space. A thread enters the namespace and hands it on.
pid_t spawn(int netns, const std::vector<std::string>& words, const std::array<int, 3>& streams) {
  std::vector<std::string> copies = words;
  std::vector<char*> arguments;
  arguments.reserve(copies.size() + 1);
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int stream = 0; stream < 3; ++stream) {
    posix_spawn_file_actions_adddup2(&actions, streams.at(static_cast<std::size_t>(stream)),
                                     stream);
  }
  pid_t pid = -1;
  int errnum = 0;
  std::thread thread([&] {
    errnum = setns(netns, CLONE_NEWNET) != 0
                 ? errno
                 : posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  });
  thread.join();
  posix_spawn_file_actions_destroy(&actions);
  if (errnum != 0) throw std::system_error(errnum, std::generic_category(), words.front());
  return pid;
}

// Waits until the program ends, and ends it should it hang.
void end_after_a_life(pid_t pid) {
  const Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  pollfd end{.fd = process.get(), .events = POLLIN, .revents = 0};
  if (poll(&end, 1, static_cast<int>(longest_life_s) * 1000) == 0) kill(pid, SIGKILL);
}

std::pair<Fd, Fd> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace

Outcome run_program(int netns, const std::vector<std::string>& words, const std::string& input) {
  const Fd in = memory_file(input);
  const Fd out = memory_file({});
  const Fd err = memory_file({});
  const pid_t pid = spawn(netns, words, {in.get(), out.get(), err.get()});
  end_after_a_life(pid);
  const int status = wait_for(pid);
  return {.status = status, .out = contents(out), .err = contents(err)};
}

std::string in_child(const std::function<std::string()>& body) {
  const Fd out = memory_file({});
  const pid_t pid = start_child();
  if (pid == 0) {
    std::string text;
    try {
      text = body();
    } catch (const std::exception& error) {
      text = std::string("exception: ") + error.what();
    }
    const ssize_t written = pwrite(out.get(), text.data(), text.size(), 0);
    _exit(written == static_cast<ssize_t>(text.size()) ? 0 : failed_status);
  }
  const int status = wait_for(pid);
  return status == 0 ? contents(out) : "child ended with status " + std::to_string(status);
}

void Companion::Line::ready() const {
  const char byte = 'r';
  if (write(to_test_.get(), &byte, 1) != 1) fail("tell the test");
}

bool Companion::Line::stopping(int wait_us) const {
  pollfd end{.fd = from_test_.get(), .events = POLLIN, .revents = 0};
  const timespec limit{.tv_sec = 0, .tv_nsec = 1000L * wait_us};
  return ppoll(&end, 1, &limit, nullptr) > 0;
}

Companion::Companion(const std::function<void(const Line&)>& body) {
  auto [from_child, to_test] = make_pipe();
  auto [from_test, to_child] = make_pipe();
  pid_ = start_child();
  if (pid_ == 0) {
    // The test's ends must not stay open here, or neither side would see the other end.
    from_child = Fd();
    to_child = Fd();
    int status = 0;
    try {
      body(Line(std::move(to_test), std::move(from_test)));
    } catch (...) {
      status = failed_status;
    }
    _exit(status);
  }
  to_test = Fd();
  from_test = Fd();
  to_child_ = std::move(to_child);
  char byte = 0;
  if (read(from_child.get(), &byte, 1) != 1) {
    throw std::runtime_error("a companion ended with status " + std::to_string(stop()) +
                             " before it was ready");
  }
}

Companion::~Companion() {
  try {
    stop();
  } catch (...) {  // NOLINT(bugprone-empty-catch): the child is gone, nothing is left to do
  }
}

int Companion::stop() {
  to_child_ = Fd();
  if (pid_ < 0) return 0;
  return wait_for(std::exchange(pid_, -1));
}

}  // namespace sluice::kernel

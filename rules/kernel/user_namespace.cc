// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/user_namespace.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "rules/error.h"
#include "rules/interruption.h"

namespace sluice::kernel {
namespace {

constexpr unsigned longest_life_s = 10;
// What putting back takes at most, so that the parent ends within a second.
constexpr std::chrono::milliseconds longest_farewell{800};
constexpr std::size_t most_notices = 64;
constexpr std::size_t longest_sentence = 1000;
constexpr std::size_t answer_limit = std::size_t{128} * 1024;
constexpr std::string_view success = "0\n";
constexpr std::string_view answer_end = "end\n";
constexpr std::string_view last_line = "\nend\n";

// An answer is lines: the errno of the failure, 0 for none, then the notices or the sentence, then
// "end", so that a child that dies on the way is told from one that has nothing to say.
std::string line_of(std::string sentence) {
  if (sentence.size() > longest_sentence) sentence = sentence.substr(0, longest_sentence) + "...";
  std::replace(sentence.begin(), sentence.end(), '\n', ' ');
  return sentence + "\n";
}

std::string answer_of(const std::function<Notices()>& action) {
  try {
    Notices notices = action();
    notices.resize(std::min(notices.size(), most_notices));
    std::string text(success);
    for (std::string& notice : notices) text += line_of(std::move(notice));
    return text + std::string(answer_end);
  } catch (const Error& error) {
    const int errnum = error.code().default_error_condition().value();
    return std::to_string(errnum) + "\n" + line_of(error.what()) + std::string(answer_end);
  } catch (const std::exception& failure) {
    return std::to_string(EIO) + "\n" + line_of(failure.what()) + std::string(answer_end);
  }
}

void write_answer(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = write(fd, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) _exit(EXIT_FAILURE);
    text.remove_prefix(static_cast<std::size_t>(size));
  }
}

// Whoever waits for the end of the parent's streams is not to wait for ours. Those that an
// execve(2) has left open are not ours alone; in their place stands what can neither be read nor
// written, so that no socket becomes anybody's standard error.
//
// A program that was started without them has its own files there.
void leave_streams(const Fd& user_namespace, int netns, int answer) {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) != 0) continue;
    if (stream == user_namespace.get() || stream == netns || stream == answer) continue;
    if (dup3(user_namespace.get(), stream, O_CLOEXEC) < 0) {
      throw Error(errno, "leave the standard streams");
    }
  }
}

// A parent that has died before is told by the answer, which nobody can read any more: of its
// process ID a PID namespace may know nothing.
void die_with_parent(int answer) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) throw Error(errno, "ask to die with the parent");
  pollfd reader{.fd = answer, .events = POLLOUT, .revents = 0};
  if (poll(&reader, 1, 0) < 0) throw Error(errno, "look for the parent");
  if ((static_cast<unsigned>(reader.revents) & POLLERR) != 0) _exit(EXIT_FAILURE);
}

void enter(const Fd& user_namespace, int netns, int answer) {
  die_with_parent(answer);
  if (setns(user_namespace.get(), CLONE_NEWUSER) != 0) {
    throw Error(errno, "enter the pod's user namespace");
  }
  // The kernel has forgotten it, unless the namespace is our own user's.
  die_with_parent(answer);
  if (setns(netns, CLONE_NEWNET) != 0) throw Error(errno, "enter the network namespace");
}

struct Pipe {
  Fd read_end;
  Fd write_end;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw Error(errno, "make a pipe");
  return {.read_end = Fd(ends[0]), .write_end = Fd(ends[1])};
}

[[noreturn]] void be_child(const Fd& user_namespace, int netns, Pipe pipe,
                           const std::function<Notices()>& action) {
  pipe.read_end = Fd();
  const int answer = pipe.write_end.get();
  // The parent's signals are none of the child's.
  std::signal(SIGALRM, SIG_DFL);
  sigset_t none{};
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  alarm(longest_life_s);
  // In there the pod's root may be as mighty as we are: the memory we have copies of is not for it.
  prctl(PR_SET_DUMPABLE, 0);
  write_answer(answer, answer_of([&] {
                 leave_streams(user_namespace, netns, answer);
                 enter(user_namespace, netns, answer);
                 return action();
               }));
  _exit(EXIT_SUCCESS);
}

// Appends what has come to `text`; false at its end.
bool read_some(const Fd& fd, std::string& text) {
  std::array<char, 4096> chunk{};
  const ssize_t size = read(fd.get(), chunk.data(), chunk.size());
  if (size < 0 && errno == EINTR) return true;
  if (size <= 0 || text.size() >= answer_limit) return false;
  text.append(chunk.data(), static_cast<std::size_t>(size));
  return true;
}

void read_answer(const Fd& fd, std::string& text) {
  do {
    throw_if_interrupted();
  } while (read_some(fd, text));
}

// False if the child does not come to its end in time.
bool read_farewell(const Fd& fd, std::string& text) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + longest_farewell;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return false;
    pollfd ready{.fd = fd.get(), .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, static_cast<int>(left.count())) > 0 && !read_some(fd, text)) return true;
  }
}

// How the child ended, as the end of a sentence.
std::string wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    // Children of a parent that ignores SIGCHLD leave no status.
    if (errno != EINTR) return "ended";
  }
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

// Takes the first line off; nothing is left of a text without one.
std::string take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string line(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

Notices read_notices(std::string_view text, const std::string& how_it_ended) {
  const bool whole = text.ends_with(last_line);
  const std::string first = take_line(text);
  int errnum = -1;
  const auto [end, failure] = std::from_chars(first.data(), first.data() + first.size(), errnum);
  const bool is_number = failure == std::errc() && end == first.data() + first.size();
  if (!is_number || errnum < 0 || !whole) {
    throw Error(std::make_error_code(std::errc::io_error),
                "the child that works in the pod's user namespace " + how_it_ended);
  }
  text.remove_suffix(answer_end.size());
  if (errnum != 0) throw Error(std::error_code(errnum, std::generic_category()), take_line(text));
  Notices notices;
  while (!text.empty()) notices.push_back(take_line(text));
  return notices;
}

// What the child has done when it hears of the interruption stays done.
Notices end_child(pid_t pid, const Fd& from_child, std::string answer, const Error& interruption) {
  kill(pid, SIGTERM);
  const bool ended = read_farewell(from_child, answer);
  if (!ended) kill(pid, SIGKILL);
  const std::string how_it_ended = wait_for(pid);
  if (answer.starts_with(success) && answer.ends_with(last_line)) {
    return read_notices(answer, how_it_ended);
  }
  if (answer.ends_with(last_line)) throw Error(interruption);
  throw Error(interruption.code(),
              std::string(interruption.what()) +
                  ": rules may be left behind: the child that works in the pod's user namespace " +
                  how_it_ended);
}

}  // namespace

Notices in_user_namespace(const Fd& user_namespace, int netns,
                          const std::function<Notices()>& action) {
  Pipe pipe = make_pipe();
  const pid_t pid = fork();
  if (pid < 0) throw Error(errno, "start a child for the pod's user namespace");
  if (pid == 0) be_child(user_namespace, netns, std::move(pipe), action);
  pipe.write_end = Fd();
  std::string answer;
  try {
    read_answer(pipe.read_end, answer);
  } catch (const Error& interruption) {
    return end_child(pid, pipe.read_end, std::move(answer), interruption);
  }
  return read_notices(answer, wait_for(pid));
}

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>

#include "agent/install/install_loop.h"
#include "cni/json.h"
#include "rules/error.h"
#include "rules/kernel/fd.h"

namespace sluice::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds time_limit{2};
constexpr std::size_t answer_limit = std::size_t{16} * 1024;

struct Pipe {
  kernel::Fd reader;
  kernel::Fd writer;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw Error(errno, "make a pipe");
  return {.reader = kernel::Fd(ends[0]), .writer = kernel::Fd(ends[1])};
}

// posix_spawn(3)'s two objects, which want to be destroyed.
class SpawnSetup {
 public:
  SpawnSetup(int input, int output, int error) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, error, STDERR_FILENO);
    posix_spawnattr_init(&attributes_);
    sigset_t none{};
    sigemptyset(&none);
    sigset_t all{};
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    // A group of its own: what it may have started dies with it.
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
  SpawnSetup(SpawnSetup&&) = delete;
  SpawnSetup& operator=(SpawnSetup&&) = delete;
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  // errno(3), or 0.
  int spawn(const std::string& path, pid_t& pid) const {
    std::string program = path;
    std::string command = "CNI_COMMAND=VERSION";
    std::array<char*, 2> arguments{program.data(), nullptr};
    std::array<char*, 2> environment{command.data(), nullptr};
    return posix_spawn(&pid, path.c_str(), &actions_, &attributes_, arguments.data(),
                       environment.data());
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::max<std::chrono::milliseconds::rep>(left.count(), 0));
}

// Up to end of file; nothing if the time is over or it is too long.
std::optional<std::string> read_answer(int fd, Clock::time_point deadline) {
  std::string answer;
  std::array<char, 4096> buffer{};
  for (;;) {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    const int left = milliseconds_until(deadline);
    if (left == 0) return std::nullopt;
    if (poll(&ready, 1, left) <= 0) continue;
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) return answer;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
    if (answer.size() > answer_limit) return std::nullopt;
  }
}

// The status of waitpid(2); nothing if it had to be killed.
std::optional<int> reap(pid_t pid, bool answered, Clock::time_point deadline) {
  int status = 0;
  while (answered && Clock::now() < deadline) {
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid) return status;
    constexpr int pause_ms = 5;
    poll(nullptr, 0, pause_ms);
  }
  kill(-pid, SIGKILL);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return std::nullopt;
}

std::string judge(const std::string& answer) {
  try {
    const cni::Json object = cni::parse_json(answer, "the answer");
    const cni::Json* versions = cni::find_value(object, "supportedVersions");
    // What every runtime that is in use can speak.
    for (const char* version : {"0.3.1", "0.4.0", "1.0.0", "1.1.0"}) {
      if (versions == nullptr || !versions->is_array() ||
          std::find(versions->begin(), versions->end(), version) == versions->end()) {
        return "does not support CNI version " + std::string(version);
      }
    }
    return {};
  } catch (const Error& error) {
    return "answers VERSION with what is no JSON: " + std::string(error.what());
  }
}

std::string run(const std::string& path) {
  const Clock::time_point deadline = Clock::now() + time_limit;
  Pipe input = make_pipe();
  Pipe output = make_pipe();
  constexpr std::string_view request = R"({"cniVersion":"1.0.0"})";
  // Fits into the empty pipe.
  if (write(input.writer.get(), request.data(), request.size()) < 0) {
    throw Error(errno, "write into a pipe");
  }
  input.writer = kernel::Fd();
  // Opened here and not in the child, whose failure would be taken for the plugin's.
  const kernel::Fd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!null) throw Error(errno, "open /dev/null");
  pid_t pid = 0;
  const SpawnSetup setup(input.reader.get(), output.writer.get(), null.get());
  int errnum = setup.spawn(path, pid);
  // Another thread's child may have the descriptor it was written with until it execs.
  while (errnum == ETXTBSY && Clock::now() < deadline) {
    constexpr int pause_ms = 20;
    poll(nullptr, 0, pause_ms);
    errnum = setup.spawn(path, pid);
  }
  if (errnum != 0) throw Error(errnum, "run " + quote(path));
  output.writer = kernel::Fd();
  const std::optional<std::string> answer = read_answer(output.reader.get(), deadline);
  const std::optional<int> status = reap(pid, answer.has_value(), deadline);
  if (!status) return "does not answer VERSION within 2 s, or too much";
  if (WIFSIGNALED(*status)) {
    return "dies of signal " + std::to_string(WTERMSIG(*status)) + " when asked for VERSION";
  }
  if (WEXITSTATUS(*status) != 0) {
    return "exits with " + std::to_string(WEXITSTATUS(*status)) + " when asked for VERSION";
  }
  return judge(*answer);
}

}  // namespace

std::string try_plugin(const std::string& path) {
  try {
    const std::string fault = run(path);
    return fault.empty() ? fault : quote(path) + " " + fault;
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace sluice::agent

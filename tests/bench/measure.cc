// SPDX-License-Identifier: GPL-2.0-or-later
// measure STDIN COMMAND...: runs the command once and prints its time from spawn to exit in
// nanoseconds, its peak memory in KiB, its exit status and its processor time in microseconds. A
// small program of its own, because the kernel counts the spawning process' memory to that of the
// child until it executes.
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>

namespace {

long long now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

long long microseconds(const timeval& time) {
  return time.tv_sec * 1'000'000LL + time.tv_usec;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, argv[1], O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const long long start = now();
  if (posix_spawnp(&child, argv[2], &actions, nullptr, argv + 2, environ) != 0) return 2;
  int status = 0;
  rusage usage{};
  if (wait4(child, &status, 0, &usage) != child) return 2;
  const long long end = now();
  std::printf("%lld %ld %d %lld\n", end - start, usage.ru_maxrss, WEXITSTATUS(status),
              microseconds(usage.ru_utime) + microseconds(usage.ru_stime));
  return 0;
}

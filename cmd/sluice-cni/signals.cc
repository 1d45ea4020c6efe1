// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice-cni/signals.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <optional>
#include <string>

#include "cni/code.h"
#include "rules/interruption.h"

namespace sluice::cmd {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array<int, 3> numbers{SIGTERM, SIGINT, SIGALRM};
constexpr std::chrono::milliseconds again{50};
constexpr std::chrono::milliseconds longest_farewell{1000};

// A handler reads and writes nothing else.
volatile std::sig_atomic_t caught = 0;  // the first one
volatile std::sig_atomic_t has_timer = 0;
timer_t timer{};

Clock::time_point start;
std::chrono::milliseconds limit{0};
bool interrupted = false;

constexpr timespec to_timespec(std::chrono::milliseconds time) {
  return {.tv_sec = time.count() / 1000, .tv_nsec = time.count() % 1000 * 1'000'000};
}

// SIGALRM then, and again and again: one that comes between the look at `caught` and a system call
// would leave that waiting. A zero `first` stops it.
void set_timer(std::chrono::milliseconds first) {
  const itimerspec times{.it_interval = to_timespec(again), .it_value = to_timespec(first)};
  if (has_timer != 0) timer_settime(timer, 0, &times, nullptr);
}

void note(int number) {
  if (caught != 0) return;
  const int errnum = errno;
  caught = number;
  set_timer(again);
  errno = errnum;
}

sigset_t our_signals() {
  sigset_t set{};
  sigemptyset(&set);
  for (const int number : numbers) sigaddset(&set, number);
  return set;
}

void handle(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;  // no SA_RESTART: what waits is to wake up
  sigemptyset(&action.sa_mask);
  for (const int number : numbers) sigaction(number, &action, nullptr);
}

void start_timer(std::chrono::milliseconds first) {
  set_timer(first);
  // A signal that came just before has set it, too.
  if (caught != 0) set_timer(again);
}

std::string text_of(std::chrono::milliseconds time) {
  return time.count() % 1000 == 0 ? std::to_string(time.count() / 1000) + " s"
                                  : std::to_string(time.count()) + " ms";
}

std::optional<Error> interruption() {
  const int number = caught;
  if (number == 0) return std::nullopt;
  // What is put back now must not meet EINTR where no program has ever seen it.
  set_timer(std::chrono::milliseconds(0));
  sigset_t set{};
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  interrupted = true;
  return Error(cni::Code::try_again_later, number == SIGALRM
                                               ? "not done within " + text_of(limit)
                                               : "terminated by signal " + std::to_string(number));
}

}  // namespace

void catch_signals(std::chrono::milliseconds deadline) {
  start = Clock::now();
  limit = deadline;
  handle(note);
  const sigset_t set = our_signals();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  set_interruption(interruption);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGALRM;
  // Without a timer there is no deadline, which is no reason to do nothing.
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) has_timer = 1;
  start_timer(deadline);
}

void set_deadline(std::chrono::milliseconds deadline) {
  if (deadline == limit) return;
  limit = deadline;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(start + deadline - Clock::now());
  start_timer(std::max(left, std::chrono::milliseconds(1)));
}

void end_interruption() {
  if (!interrupted) return;
  handle(SIG_DFL);
  set_timer(longest_farewell);
  const sigset_t set = our_signals();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace sluice::cmd

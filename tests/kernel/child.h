// SPDX-License-Identifier: GPL-2.0-or-later
// Child processes of the tests: the vendor's programs, and code that must not run in the test
// process itself because it gives up privileges or races with it. Every child ends by itself after
// a minute at the latest.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "rules/kernel/fd.h"

namespace sluice::kernel {

struct Outcome {
  int status = -1;  // exit status, 128 + N after signal N
  std::string out;
  std::string err;
};

// Runs a program with `input` on its stdin, in the network namespace that `netns` refers to.
Outcome run_program(int netns, const std::vector<std::string>& words,
                    const std::string& input = {});

// Runs `body` in a forked child and returns the text that it returns. A child that throws or dies
// gives a text that says so.
std::string in_child(const std::function<std::string()>& body);

// A forked child that runs along with the test.
class Companion {
 public:
  // The child's side.
  class Line {
   public:
    Line(Fd to_test, Fd from_test)
        : to_test_(std::move(to_test)), from_test_(std::move(from_test)) {}
    // Lets the test go on.
    void ready() const;
    // Whether the test wants the child to end; waits for that wish at most `wait_us`.
    bool stopping(int wait_us) const;

   private:
    Fd to_test_;
    Fd from_test_;
  };

  // Comes back when `body` has called ready(). Throws std::runtime_error if it ended before.
  explicit Companion(const std::function<void(const Line&)>& body);
  Companion(const Companion&) = delete;
  Companion(Companion&&) = delete;
  Companion& operator=(const Companion&) = delete;
  Companion& operator=(Companion&&) = delete;
  ~Companion();

  pid_t pid() const { return pid_; }
  // Asks the child to end and waits for it; returns its exit status, 0 if `body` returned.
  int stop();

 private:
  pid_t pid_ = -1;
  Fd to_child_;
};

}  // namespace sluice::kernel

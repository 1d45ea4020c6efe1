// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/interruption.h"

#include <catch2/catch.hpp>
#include <cerrno>

namespace sluice {
namespace {

int questions = 0;

std::optional<Error> never() {
  ++questions;
  return std::nullopt;
}

std::optional<Error> at_once() {
  ++questions;
  return Error(EINTR, "work");
}

// Leaves nothing behind for other tests.
struct Reset {
  Reset() { questions = 0; }
  Reset(const Reset&) = delete;
  Reset(Reset&&) = delete;
  Reset& operator=(const Reset&) = delete;
  Reset& operator=(Reset&&) = delete;
  ~Reset() { set_interruption(nullptr); }
};

TEST_CASE("interruption: nothing interrupts a program that says nothing", "[interruption]") {
  CHECK_NOTHROW(throw_if_interrupted());
}

TEST_CASE("interruption: it is asked each time until it says so", "[interruption]") {
  const Reset reset;
  set_interruption(never);
  throw_if_interrupted();
  throw_if_interrupted();
  CHECK(questions == 2);
}

TEST_CASE("interruption: it is thrown once, whatever is said later", "[interruption]") {
  const Reset reset;
  set_interruption(at_once);
  CHECK_THROWS_WITH(throw_if_interrupted(), "work: Interrupted system call");
  CHECK_NOTHROW(throw_if_interrupted());
  CHECK(questions == 1);
}

TEST_CASE("interruption: what is put back is not interrupted", "[interruption]") {
  const Reset reset;
  set_interruption(at_once);
  {
    const Uninterrupted outer;
    const Uninterrupted inner;
    CHECK_NOTHROW(throw_if_interrupted());
  }
  CHECK_THROWS_AS(throw_if_interrupted(), Error);
}

}  // namespace
}  // namespace sluice

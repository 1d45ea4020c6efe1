// SPDX-License-Identifier: GPL-2.0-or-later
// What an action that must fail throws.
#pragma once

#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>

#include "cni/code.h"
#include "rules/error.h"

namespace sluice {

template <class Action>
Error thrown_by(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  // Ends the test case: there is nothing to look at.
  throw std::logic_error("no Error was thrown");
}

template <class Action>
std::string message_of(Action action) {
  return thrown_by(action).what();
}

template <class Action>
cni::Code code_thrown_by(Action action) {
  return cni::code_of(thrown_by(action));
}

}  // namespace sluice

// Numbers say more than "{?}" in a failed comparison.
template <>
struct Catch::StringMaker<sluice::cni::Code> {
  static std::string convert(sluice::cni::Code code) {
    return std::to_string(static_cast<int>(code));
  }
};

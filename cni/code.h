// SPDX-License-Identifier: GPL-2.0-or-later
// The codes of CNI error objects: SPEC.md "Error" of CNI 1.1.0, and Sluice's own from 100 on.
#pragma once

#include <system_error>

#include "rules/error.h"

namespace sluice::cni {

enum class Code {
  incompatible_version = 1,
  invalid_environment = 4,
  io_failure = 5,
  decoding_failure = 6,
  invalid_config = 7,
  try_again_later = 11,
  not_available = 50,  // STATUS: no ADD can work
  internal = 100,
  netns_failure = 101,       // the namespace, or an interface in it
  kernel_unsupported = 102,  // the kernel lacks a table, match or target
  permission = 103,          // a capability is missing
  drift = 105,               // CHECK: the live rules are not as wanted
};

const std::error_category& code_category();
std::error_code make_error_code(Code code);

// The code for an error: its own if it carries one, else the one its errno stands for.
Code code_of(const Error& error);

}  // namespace sluice::cni

template <>
struct std::is_error_code_enum<sluice::cni::Code> : std::true_type {};

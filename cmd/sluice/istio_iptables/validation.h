// SPDX-License-Identifier: GPL-2.0-or-later
// Whether interception works, tested with connections: what Istio's istio-validation container is
// for, which tests one rule of one family. Tests whatever the user may: without capabilities the
// inbound part, as another user cannot be acted as.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "rules/backend.h"
#include "rules/redirect.h"

namespace sluice::cmd::istio_iptables {

enum class Verdict : std::uint8_t {
  ok,
  failed,
  skipped,   // could not be tested
  unneeded,  // is not captured, as configured
};

struct TestResult {
  std::string name;  // "inbound IPv4"
  Verdict verdict = Verdict::ok;
  std::string detail = {};
};

// "validation: inbound IPv4: ok".
std::string to_string(const TestResult& result);

struct ValidationOptions {
  std::uint16_t probe_port = 0;
  std::chrono::milliseconds timeout = {};  // of each test
};

// Runs the tests in the calling thread's network namespace, whose interfaces are `links`, one after
// another. Both families count that the pod has addresses of and that `config` captures. `config`
// is one that complete() made. Throws Error.
std::vector<TestResult> validate(const RedirectConfig& config, const std::vector<Link>& links,
                                 const ValidationOptions& options);

// False if a test failed, or nothing of what is captured could be tested.
bool is_valid(const std::vector<TestResult>& results);

}  // namespace sluice::cmd::istio_iptables

// SPDX-License-Identifier: GPL-2.0-or-later
// The lock on a namespace's file: a courtesy that no stranger can turn against us.
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <variant>

#include "rules/diff.h"
#include "rules/kernel/netns.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

constexpr uid_t nobody = 65534;

class Stopwatch {
 public:
  long ms() const {
    const auto passed = std::chrono::steady_clock::now() - start_;
    return std::chrono::duration_cast<std::chrono::milliseconds>(passed).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// In a child: takes the lock as any process of the pod can, for `hold_us` or until told to end.
void hold_lock(const TestNetns& netns, int operation, const Companion::Line& line, int hold_us) {
  if (setns(netns.fd(), CLONE_NEWNET) != 0) throw std::runtime_error("setns");
  if (setgid(nobody) != 0 || setuid(nobody) != 0) throw std::runtime_error("setuid");
  const Fd file(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!file || flock(file.get(), operation | LOCK_NB) != 0) throw std::runtime_error("flock");
  line.ready();
  if (hold_us > 0) {
    line.stopping(hold_us);
  } else {
    while (!line.stopping(100'000)) continue;
  }
}

// Whether another process could take the lock now.
bool is_free(const TestNetns& netns) {
  const Fd file(open(netns.path().c_str(), O_RDONLY | O_CLOEXEC));
  return flock(file.get(), LOCK_EX | LOCK_NB) == 0;
}

TEST_CASE("a free lock is had at once and released with the value") {
  const TestNetns netns;
  {
    const Stopwatch watch;
    const Netns::Lock lock = netns.netns().lock(500);
    CHECK(lock);
    CHECK(watch.ms() < 200);
    CHECK_FALSE(is_free(netns));
    const Netns other = std::get<Netns>(Netns::open(netns.path()));
    CHECK_FALSE(other.lock(0));
    CHECK_FALSE(is_free(netns));  // the one that was not had releases nothing
  }
  CHECK(is_free(netns));
  CHECK(netns.netns().lock(0));
  CHECK(is_free(netns));
}

TEST_CASE("a moved lock is released once, by the last owner") {
  const TestNetns netns;
  {
    Netns::Lock first = netns.netns().lock(0);
    const Netns::Lock second = std::move(first);
    CHECK(second);
    CHECK_FALSE(is_free(netns));
  }
  CHECK(is_free(netns));
}

TEST_CASE("a stranger's lock is waited for, but not longer than asked") {
  const int operation = GENERATE(LOCK_EX, LOCK_SH);
  const TestNetns netns;
  Companion stranger([&](const Companion::Line& line) { hold_lock(netns, operation, line, 0); });
  for (const int timeout_ms : {0, 150}) {
    const Stopwatch watch;
    CHECK_FALSE(netns.netns().lock(timeout_ms));
    CHECK(watch.ms() >= timeout_ms);
    CHECK(watch.ms() < timeout_ms + 1000);
  }
  CHECK(stranger.stop() == 0);
  CHECK(netns.netns().lock(0));
}

TEST_CASE("a lock that becomes free while we wait is had") {
  const TestNetns netns;
  const Companion stranger(
      [&](const Companion::Line& line) { hold_lock(netns, LOCK_EX, line, 150'000); });
  const Stopwatch watch;
  CHECK(netns.netns().lock(5000));
  CHECK(watch.ms() < 4000);
}

TEST_CASE("apply and remove go on without a lock that is not to be had, and say so", "[backends]") {
  TestNetns netns;
  const Companion stranger(
      [&](const Companion::Line& line) { hold_lock(netns, LOCK_EX, line, 0); });
  const std::string notice =
      "the lock of the network namespace was not to be had within 500 ms: went on without it";
  const Interception wanted = both_families(small_config());
  const Stopwatch watch;
  CHECK(netns.backend().apply(wanted) == Notices{notice});
  CHECK(watch.ms() >= 500);
  CHECK(watch.ms() < 2500);
  CHECK(diff(wanted, netns.backend().read()).empty());
  CHECK(netns.backend().remove() == Notices{notice});
  CHECK(diff(Interception{}, netns.backend().read()).empty());
}

TEST_CASE("apply holds the lock only while it runs", "[backends]") {
  TestNetns netns;
  netns.backend().apply(both_families(small_config()));
  CHECK(is_free(netns));
  netns.backend().remove();
  CHECK(is_free(netns));
}

}  // namespace
}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the kernel tests, and proves that they left the namespace of the test process alone.

// With the sanitizers g++ 12 takes <regex>, which Catch's runner uses, for uninitialized.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#define CATCH_CONFIG_RUNNER
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>

#include "rules/kernel/fd.h"
#include "tests/kernel/child.h"
#include "tests/kernel/seed.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

constexpr int skipped_status = 77;  // SKIP_RETURN_CODE in tests/CMakeLists.txt

// Whether a network namespace can be made; errno tells why not.
int try_unshare() {
  int errnum = 0;
  std::thread thread([&] { errnum = unshare(CLONE_NEWNET) == 0 ? 0 : errno; });
  thread.join();
  return errnum;
}

// The vendor's programs take turns by a lock on this file. The host's own (/run/xtables.lock)
// belongs to the host, and whoever holds it would make our tests fail.
Fd make_lock_file() {
  Fd file(memfd_create("xtables.lock", MFD_CLOEXEC));
  const std::string path =
      "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(file.get());
  setenv("XTABLES_LOCKFILE", path.c_str(), 1);
  return file;
}

// What a test might have changed in our own namespace. iptables-save prints the tables that exist
// and creates none.
std::string own_state() {
  const Fd own(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  std::string state = read_file("/proc/sys/net/ipv6/conf/lo/disable_ipv6");
  for (const char* name : {"ip_tables_names", "ip6_tables_names"}) {
    state += std::string(name) + ":\n" + read_file(std::string("/proc/self/net/") + name);
  }
  state += filter_lines(read_file("/proc/self/net/if_inet6"), [](const std::string& line) {
    return line.substr(line.rfind(' ') + 1) == "lo";
  });
  for (const char* tool : {"iptables-legacy-save", "ip6tables-legacy-save"}) {
    state += filter_lines(run_program(own.get(), {tool}).out, [](const std::string& line) {
      return line.front() == '-' || line.front() == '*';
    });
  }
  std::array<char, 64> link{};
  if (readlink("/proc/self/ns/net", link.data(), link.size() - 1) > 0) state += link.data();
  return state;
}

int run_tests(int argc, char** argv) {
  Catch::Session session;
  const int ill_formed = session.applyCommandLine(argc, argv);
  if (ill_formed != 0) return ill_formed;
  if (const int errnum = try_unshare(); errnum != 0) {
    std::cerr << "kernel_tests: cannot make a network namespace: " << std::strerror(errnum) << '\n';
    const char* required = std::getenv("REQUIRE_KERNEL_TESTS");
    return required != nullptr && std::string_view(required) == "1" ? 1 : skipped_status;
  }
  const Fd lock_file = make_lock_file();
  std::cerr << "kernel_tests: SLUICE_SEED=" << test_seed() << '\n';
  const std::string before = own_state();
  const int failed = session.run();
  if (const std::string after = own_state(); after != before) {
    std::cerr << "kernel_tests: the tests changed their own network namespace from\n"
              << before << "\nto\n"
              << after << '\n';
    return 1;
  }
  return failed;
}

}  // namespace
}  // namespace sluice::kernel

int main(int argc, char** argv) {
  return sluice::kernel::run_tests(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// What is left to a process that has given up the rest.
#include "rules/kernel/confinement.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <functional>
#include <span>
#include <string>

#include <linux/filter.h>

#include "rules/kernel/capability.h"
#include "rules/kernel/fd.h"
#include "rules/kernel/xt/raw_socket.h"
#include "rules/kernel/xt/table.h"
#include "tests/kernel/child.h"
#include "tests/kernel/refusal.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

// The line of /proc/self/status, without its name.
std::string status_of(const std::string& name) {
  const std::string text = read_file("/proc/self/status");
  const std::size_t begin = text.find("\n" + name + ":\t") + name.size() + 3;
  return text.substr(begin, text.find('\n', begin) - begin);
}

TEST_CASE("capabilities that are given up leave all sets but the bounding one", "[confinement]") {
  CHECK(in_child([] {
          keep_capabilities(bit(Capability::net_admin) | bit(Capability::net_raw));
          keep_capabilities(bit(Capability::net_admin));
          return status_of("CapEff") + " " + status_of("CapPrm") + " " + status_of("CapInh") + " " +
                 status_of("CapAmb") + " " + status_of("NoNewPrivs");
        }) == "0000000000001000 0000000000001000 0000000000000000 0000000000000000 1");
  CHECK(in_child([] {
          drop_capability(static_cast<int>(Capability::net_admin));
          keep_capabilities(bit(Capability::net_admin));
          return status_of("CapEff");
        }) == "0000000000000000");
}

TEST_CASE("root gets nothing back by a program", "[confinement]") {
  const auto has_after_exec = [](const char* capabilities) {
    return in_child([&] {
      keep_capabilities(bit(Capability::net_admin));
      const std::string command =
          std::string("grep -q 'CapEff:.*") + capabilities + "$' /proc/self/status";
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      return std::string("exec");
    });
  };
  CHECK(has_after_exec("0000000000001000") == nothing);
  CHECK(has_after_exec("0000000000001001") == "child ended with status 1");
}

// Behind the filter only an exit status comes out.
// What `call` is refused with: nothing if it works.
std::string errno_of(Calls calls, const std::function<long()>& call) {
  return in_child([&] {
    keep_capabilities(bit(Capability::net_admin));
    filter_system_calls(calls);
    const long result = call();
    // Not _exit(3): before it AddressSanitizer asks for the signal stack, which the filter refuses.
    syscall(SYS_exit_group, result < 0 ? errno : 0);
    return std::string();
  });
}

const std::string refused = "child ended with status " + std::to_string(EPERM);

TEST_CASE("system calls that rules do not take are refused", "[confinement]") {
  const auto calls = GENERATE(Calls::rules, Calls::rules_in_child);
  const auto check = [&](const std::function<long()>& call) {
    CHECK(errno_of(calls, call) == refused);
  };
  check([] { return execl("/bin/true", "true", nullptr); });
  check([] { return open("/tmp", O_RDWR | O_TMPFILE, 0600); });
  check([] { return open("/dev/null", O_WRONLY); });
  check([] { return open("/dev/null", O_RDWR); });
  check([] { return open("/dev/null", O_RDONLY | O_CREAT, 0600); });
  check([] { return open("/dev/null", O_RDONLY | O_TRUNC); });
  check([] { return socket(AF_PACKET, SOCK_RAW, 0); });
  check([] { return unlink("/nowhere"); });
  check([] { return chdir("/"); });
  check([] { return unshare(CLONE_NEWNET); });
  check([] { return syscall(SYS_ptrace, 0, 0, 0, 0); });
  check([] { return syscall(SYS_bpf, 0, 0, 0); });
  check([] { return syscall(SYS_mount, 0, 0, 0, 0, 0); });
  check([] { return syscall(SYS_io_uring_setup, 1, 0); });
  check([] {
    const void* page =
        mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? -1L : 0L;
  });
#if defined(__x86_64__)
  // The same calls by another table: x32.
  check([] { return syscall(0x40000000 + SYS_getppid); });
#endif
}

TEST_CASE("a process without a child has no use for one", "[confinement]") {
  const auto make_child = [] {
    const pid_t pid = fork();
    if (pid == 0) syscall(SYS_exit_group, 0);
    if (pid < 0) return -1L;
    return waitpid(pid, nullptr, 0) == pid ? 0L : -1L;
  };
  CHECK(errno_of(Calls::rules, make_child) == refused);
  CHECK(errno_of(Calls::rules_in_child, make_child) == nothing);
}

TEST_CASE("a child's process attributes are the few that it sets", "[confinement]") {
  const auto dumpable = [] { return prctl(PR_SET_DUMPABLE, 0); };
  const auto dies_with_parent = [] { return prctl(PR_SET_PDEATHSIG, SIGKILL); };
  for (const auto& call :
       {std::function<long()>(dumpable), std::function<long()>(dies_with_parent)}) {
    CHECK(errno_of(Calls::rules, call) == refused);
    CHECK(errno_of(Calls::rules_in_child, call) == nothing);
  }
  CHECK(errno_of(Calls::rules_in_child, [] { return prctl(PR_SET_NAME, "other"); }) == refused);
  CHECK(errno_of(Calls::rules_in_child, [] { return prctl(PR_SET_SECCOMP, 1); }) == refused);
}

TEST_CASE("what rules take is not refused", "[confinement]") {
  const auto check = [](const std::function<long()>& call) {
    CHECK(errno_of(Calls::rules, call) == nothing);
  };
  check([] { return open("/proc/self/net/if_inet6", O_RDONLY | O_CLOEXEC); });
  check([] { return socket(AF_NETLINK, SOCK_RAW, 0); });
  check([] { return socket(AF_UNIX, SOCK_SEQPACKET, 0); });
  check([] { return getpid(); });
}

TEST_CASE("the filter is short, and every jump lands in it", "[confinement]") {
  for (const Calls calls : {Calls::rules, Calls::rules_in_child}) {
    const std::span<const sock_filter> program = system_call_filter(calls);
    CHECK(program.size() < 128);
    for (std::size_t i = 0; i < program.size(); ++i) {
      if (BPF_CLASS(program[i].code) != BPF_JMP) continue;
      CHECK(i + 1 + program[i].jt < program.size());
      CHECK(i + 1 + program[i].jf < program.size());
    }
  }
}

TEST_CASE("sockets that are kept do for every table without CAP_NET_RAW", "[confinement]") {
  const TestNetns netns;
  const auto use = [&](bool keep) {
    return in_child([&] {
      if (setns(netns.fd(), CLONE_NEWNET) != 0) return std::string("setns");
      if (keep) xt::keep_raw_sockets();
      keep_capabilities(bit(Capability::net_admin));
      std::string chains;
      for (const Family family : families) {
        for (int i = 0; i < 3; ++i) {
          chains += std::to_string(xt::XtTable::open(family, Table::nat)->read().chains.size());
        }
      }
      return chains;
    });
  };
  CHECK(use(true) == "444444");
  CHECK_THAT(use(false), Catch::Contains("needs CAP_NET_ADMIN"));
}

}  // namespace
}  // namespace sluice::kernel

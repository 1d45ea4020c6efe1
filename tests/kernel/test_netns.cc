// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/test_netns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <numeric>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "rules/parse_backend.h"

namespace sluice::kernel {
namespace {

// On a thread of its own: the namespace of a thread goes with the thread.
void on_thread(const std::function<void()>& action) {
  std::exception_ptr failure;
  std::thread thread([&] {
    try {
      action();
    } catch (...) {
      failure = std::current_exception();
    }
  });
  thread.join();
  if (failure) std::rethrow_exception(failure);
}

Choice choice_of_tests() {
  const char* name = std::getenv("SLUICE_BACKEND");
  const BackendChoice asked = name == nullptr ? BackendChoice::xtables : parse_backend_choice(name);
  return {.backend = asked, .reason = "the test asks for it"};
}

void check(bool done, const char* doing) {
  if (!done) throw std::system_error(errno, std::generic_category(), doing);
}

}  // namespace

TestNetns::TestNetns(Fd fd)
    : fd_(std::move(fd)), netns_(open(fd_)), backend_(netns_, choice_of_tests(), "sluice") {}

Fd TestNetns::create() {
  Fd fd;
  on_thread([&] {
    check(unshare(CLONE_NEWNET) == 0, "unshare a network namespace");
    fd = Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    check(static_cast<bool>(fd), "open a new network namespace");
  });
  return fd;
}

Netns TestNetns::open(const Fd& fd) {
  return std::get<Netns>(Netns::open(path_of(fd)));
}

void TestNetns::inside(const std::function<void()>& action) const {
  on_thread([&] {
    check(setns(fd_.get(), CLONE_NEWNET) == 0, "enter the test's network namespace");
    action();
  });
}

Outcome TestNetns::run(const std::vector<std::string>& words, const std::string& input) const {
  return run_program(fd_.get(), words, input);
}

std::string TestNetns::must(const std::vector<std::string>& words, const std::string& input) const {
  const Outcome outcome = run(words, input);
  INFO(words.front() << " says: " << outcome.err << "; input:\n" << input);
  REQUIRE(outcome.status == 0);
  return outcome.out;
}

std::string TestNetns::save(Family family, const std::vector<std::string>& options) const {
  std::vector<std::string> words{vendor_tool(family, "-save")};
  words.insert(words.end(), options.begin(), options.end());
  return filter_lines(must(words), [](const std::string& line) { return line.front() != '#'; });
}

void TestNetns::restore(Family family, const std::string& text,
                        const std::vector<std::string>& options) const {
  std::vector<std::string> words{vendor_tool(family, "-restore")};
  words.insert(words.end(), options.begin(), options.end());
  must(words, text);
}

std::string TestNetns::proc_net(const std::string& name) const {
  std::string text;
  inside([&] { text = read_file("/proc/thread-self/net/" + name); });
  return text;
}

void TestNetns::set_sysctl(const std::string& path, const std::string& value) const {
  inside([&] {
    std::ofstream file("/proc/sys/" + path);
    file << value << std::flush;
    check(file.good(), "write a sysctl");
  });
}

std::string TestNetns::addresses() const {
  std::istringstream lines(proc_net("if_inet6"));
  std::set<std::string> all;
  std::string address;
  std::string index;
  std::string length;
  std::string scope;
  std::string flags;
  std::string name;
  while (lines >> address >> index >> length >> scope >> flags >> name) {
    all.insert(address + "/" + length + " " + name + "\n");
  }
  return std::accumulate(all.begin(), all.end(), std::string());
}

bool TestNetns::writes_nftables() const {
  return std::string_view(backend_.name()) == "nftables";
}

std::string TestNetns::state() const {
  if (writes_nftables()) return must({"nft", "list", "ruleset"}) + addresses();
  return save(Family::ipv4, {"-c"}) + save(Family::ipv6, {"-c"}) + addresses();
}

void TestNetns::send_packets(std::uint16_t port, int count) const {
  must({"ip", "link", "set", "lo", "up"});
  inside([&] {
    for (int i = 0; i < count; ++i) {
      const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(port);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      // Nobody listens: the answer does not matter, only that a SYN went through the hooks.
      static_cast<void>(
          connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
    }
  });
}

std::string vendor_tool(Family family, const std::string& suffix) {
  return (family == Family::ipv4 ? "iptables-legacy" : "ip6tables-legacy") + suffix;
}

std::string filter_lines(const std::string& text,
                         const std::function<bool(const std::string&)>& keep) {
  std::istringstream lines(text);
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && keep(line)) kept += line + "\n";
  }
  return kept;
}

std::string difference(const std::string& a, const std::string& b) {
  if (a == b) return {};
  const auto lines_of = [](const std::string& text) {
    std::multiset<std::string> lines;
    filter_lines(text, [&](const std::string& line) {
      lines.insert(line);
      return true;
    });
    return lines;
  };
  const std::multiset<std::string> all_a = lines_of(a);
  const std::multiset<std::string> all_b = lines_of(b);
  const auto only_in = [&](const std::string& text, const std::multiset<std::string>& here,
                           const std::multiset<std::string>& there) {
    return filter_lines(
        text, [&](const std::string& line) { return here.count(line) > there.count(line); });
  };
  std::string one_sided =
      "first only:\n" + only_in(a, all_a, all_b) + "second only:\n" + only_in(b, all_b, all_a);
  if (all_a != all_b) return one_sided;
  const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return "the order differs from here on:\n" + std::string(in_a, a.end()).substr(0, 200);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// Processes of the pod that send to our netlink socket: none gets through, and where the kernel
// lets them, they cost seconds at most.
#include <sys/socket.h>
#include <sys/syscall.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <linux/netlink.h>

#include "rules/error.h"
#include "rules/kernel/fd.h"
#include "rules/kernel/nft/snapshot.h"
#include "rules/kernel/nft/socket.h"
#include "rules/kernel/nft/tables.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/nft_netns.h"
#include "tests/kernel/refusal.h"

namespace sluice::kernel::nft {
namespace {

using Clock = std::chrono::steady_clock;

// Sends to the address until there is no room; returns errno.
int flood(std::uint32_t port) {
  const Fd stranger(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
  sockaddr_nl to{};
  to.nl_family = AF_NETLINK;
  to.nl_pid = port;
  std::string junk(2000, '\0');
  const nlmsghdr header{.nlmsg_len = 2000,
                        .nlmsg_type = NLMSG_ERROR,
                        .nlmsg_flags = 0,
                        .nlmsg_seq = 0,
                        .nlmsg_pid = 0};
  std::memcpy(junk.data(), &header, sizeof header);
  // Small ones fit where big ones do not.
  for (const std::size_t size : {junk.size(), sizeof header}) {
    while (sendto(stranger.get(), junk.data(), size, 0, reinterpret_cast<const sockaddr*>(&to),
                  sizeof to) > 0) {
    }
  }
  return errno;
}

// Of NETLINK_NETFILTER in the calling thread's namespace, as anybody there can list them.
std::vector<std::uint32_t> ports() {
  std::istringstream lines(read_file("/proc/thread-self/net/netlink"));
  std::vector<std::uint32_t> all;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string address;
    int protocol = 0;
    std::uint32_t port = 0;
    if (words >> address >> protocol >> port && protocol == NETLINK_NETFILTER && port != 0) {
      all.push_back(port);
    }
  }
  return all;
}

// Floods whatever socket there is, all the time.
class Stranger {
 public:
  explicit Stranger(const TestNetns& netns) {
    thread_ = std::thread([&netns, this] {
      netns.inside([this] {
        while (!stop_) {
          for (const std::uint32_t port : ports()) flood(port);
        }
      });
    });
  }
  Stranger(const Stranger&) = delete;
  Stranger(Stranger&&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  Stranger& operator=(Stranger&&) = delete;
  ~Stranger() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// In a child for which sockets cannot be connected to the kernel: what `action` says.
std::string unprotected(const TestNetns& netns, const std::function<std::string()>& action) {
  return in_child([&] {
    refuse(SYS_connect, {}, EPERM);
    std::string said;
    netns.inside([&] { said = action(); });
    return said;
  });
}

TEST_CASE("strangers cannot send to our socket") {
  const TestNetns netns;
  netns.inside([&] {
    const auto socket = Socket::open();
    CHECK(flood(socket->port()) == ECONNREFUSED);
    CHECK(socket->generation() == 1);
  });
  const Stranger stranger(netns);
  nft_write(netns, both_families(large_config()));
  CHECK(nft_read(netns) == canonical_of(both_families(large_config())));
}

TEST_CASE("an answer that had no room is no failure") {
  const TestNetns netns;
  CHECK(unprotected(netns, [] {
          const auto socket = Socket::open();
          Batch batch(socket->generation());
          batch.create_table({.name = "told-by-nobody"});
          if (flood(socket->port()) != EAGAIN) return "not flooded";
          if (socket->commit(batch).known) return "known";
          // A stranger's answers are none, and the socket goes on working.
          if (!find_tables(*socket, "told-by-nobody").table) return "not found";
          return "done";
        }) == "done");
}

TEST_CASE("an answer that was lost is asked for on another socket") {
  const TestNetns netns;
  CHECK(unprotected(netns, [] {
          const auto socket = Socket::open();
          const std::uint32_t port = socket->port();
          if (flood(port) != EAGAIN) return "not flooded";
          if (socket->generation() != 1) return "another generation";
          return socket->port() == port ? "the same socket" : "done";
        }) == "done");
}

TEST_CASE("an answer that never comes is an error") {
  const TestNetns netns;
  CHECK(in_child([&] {
          refuse(SYS_recvmsg, {}, ENOBUFS);
          std::string said = "nothing";
          netns.inside([&] {
            try {
              Socket::open();
            } catch (const Error& error) {
              said = error.what();
            }
          });
          return said;
        }) == "nf_tables does not answer: waited on several sockets, one after the other");
}

TEST_CASE("a stranger that never rests costs seconds at most") {
  const TestNetns netns;
  CHECK(unprotected(netns, [&] {
          const Stranger stranger(netns);
          for (int round = 0; round < 2; ++round) {
            const Clock::time_point begin = Clock::now();
            try {
              const auto tables = make_tables(nft_table);
              if (round == 0) tables->write(both_families(large_config()));
              if (round == 1) tables->read();
            } catch (const Error& error) {
              if (error.code() != std::errc::timed_out) return std::string(error.what());
            }
            if (Clock::now() - begin > std::chrono::seconds(8)) return std::string("slow");
          }
          return std::string("done");
        }) == "done");
}

}  // namespace
}  // namespace sluice::kernel::nft

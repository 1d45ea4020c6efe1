// SPDX-License-Identifier: GPL-2.0-or-later
// Processes of the pod that send to our netlink socket: none gets through, and where the kernel
// lets them, they cost seconds at most.
#include <sys/socket.h>
#include <sys/syscall.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <functional>
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
#include "tests/kernel/flood.h"
#include "tests/kernel/nft_netns.h"
#include "tests/kernel/refusal.h"

namespace sluice::kernel::nft {
namespace {

using Clock = std::chrono::steady_clock;

// Floods whatever socket there is, all the time.
class Stranger {
 public:
  explicit Stranger(const TestNetns& netns) {
    thread_ = std::thread([&netns, this] {
      netns.inside([this] {
        while (!stop_) {
          for (const std::uint32_t port : netlink_ports(NETLINK_NETFILTER))
            flood(NETLINK_NETFILTER, port);
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
    CHECK(flood(NETLINK_NETFILTER, socket->port()) == ECONNREFUSED);
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
          if (flood(NETLINK_NETFILTER, socket->port()) != EAGAIN) return "not flooded";
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
          if (flood(NETLINK_NETFILTER, port) != EAGAIN) return "not flooded";
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

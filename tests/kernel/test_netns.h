// SPDX-License-Identifier: GPL-2.0-or-later
// A throw-away network namespace. The test process never enters it: a thread makes it, threads and
// children work in it, it is gone with the object.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "rules/kernel/fd.h"
#include "rules/kernel/netns.h"
#include "rules/kernel/pod_backend.h"
#include "rules/rule.h"
#include "tests/kernel/child.h"

namespace sluice::kernel {

class TestNetns {
 public:
  TestNetns() : TestNetns(create()) {}
  // One that is there already.
  explicit TestNetns(Fd fd);
  TestNetns(const TestNetns&) = delete;
  TestNetns(TestNetns&&) = delete;
  TestNetns& operator=(const TestNetns&) = delete;
  TestNetns& operator=(TestNetns&&) = delete;
  ~TestNetns() = default;

  int fd() const { return fd_.get(); }
  // Good for Netns::open in this process.
  std::string path() const { return path_of(fd_); }
  const Netns& netns() const { return netns_; }
  // Through x_tables; through nf_tables if SLUICE_BACKEND=nftables is in the environment, for which
  // the cases tagged [backends] are made. Looks at no table before it is used.
  PodBackend& backend() { return backend_; }
  bool writes_nftables() const;

  // Runs `action` in the namespace on a thread of its own. Assertions may be made in it.
  void inside(const std::function<void()>& action) const;

  // Runs a program in the namespace.
  Outcome run(const std::vector<std::string>& words, const std::string& input = {}) const;
  // The same, but a program that fails fails the test; returns what it printed.
  std::string must(const std::vector<std::string>& words, const std::string& input = {}) const;

  // What iptables-legacy-save or ip6tables-legacy-save prints, without the comment lines: they
  // hold the time. `options` may be "-c" for counters.
  std::string save(Family family, const std::vector<std::string>& options = {}) const;
  // Feeds iptables-legacy-restore or ip6tables-legacy-restore.
  void restore(Family family, const std::string& text,
               const std::vector<std::string>& options = {}) const;

  // /proc/net/NAME as it stands in the namespace.
  std::string proc_net(const std::string& name) const;
  void set_sysctl(const std::string& path, const std::string& value) const;

  // The IPv6 addresses, sorted, one a line: digits, length, interface. Without the flags: that an
  // address is tentative passes by itself.
  std::string addresses() const;

  // Rules of both families with counters, as the backend's own program lists them, and the IPv6
  // addresses.
  std::string state() const;

  // Sends TCP SYNs over lo, which is brought up for it, so that counters are not zero.
  void send_packets(std::uint16_t port, int count = 1) const;

 private:
  static Fd create();
  static std::string path_of(const Fd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); }
  static Netns open(const Fd& fd);

  Fd fd_;
  Netns netns_;
  PodBackend backend_;
};

// "iptables-legacy" or "ip6tables-legacy" with `suffix` behind it.
std::string vendor_tool(Family family, const std::string& suffix = {});

// The lines of `text` for which `keep` holds.
std::string filter_lines(const std::string& text,
                         const std::function<bool(const std::string&)>& keep);

// An empty text. Where a comparison with it fails, Catch prints the other side, unlike that of
// empty().
inline const std::string nothing;

// The lines that stand in only one of two texts, or where their order differs first; empty if the
// texts are equal. A whole dump in a failure's message hides what is wrong.
std::string difference(const std::string& a, const std::string& b);

std::string read_file(const std::string& path);

}  // namespace sluice::kernel

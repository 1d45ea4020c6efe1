// SPDX-License-Identifier: GPL-2.0-or-later
// A network namespace that a user namespace of its own owns, as a pod with `hostUsers: false` has
// them. Nobody is in either.
#pragma once

#include <string>
#include <utility>

#include "rules/kernel/fd.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {

class PodUserNamespace {
 public:
  // `map` is a line of /proc/PID/uid_map (user_namespaces(7)): for UIDs and GIDs.
  explicit PodUserNamespace(const std::string& map = "0 100000 65536")
      : PodUserNamespace(create(map)) {}

  const Fd& user_namespace() const { return fds_.user_namespace; }
  TestNetns& netns() { return netns_; }

 private:
  struct Fds {
    Fd user_namespace;
    Fd netns;
  };

  explicit PodUserNamespace(Fds fds) : fds_(std::move(fds)), netns_(std::move(fds_.netns)) {}
  static Fds create(const std::string& map);

  Fds fds_;
  TestNetns netns_;
};

}  // namespace sluice::kernel

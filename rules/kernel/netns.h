// SPDX-License-Identifier: GPL-2.0-or-later
// Network namespaces: network_namespaces(7), ioctl_ns(2), setns(2).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "rules/backend.h"
#include "rules/kernel/fd.h"

namespace sluice::kernel {

// An open network namespace. The file that was opened is used throughout, whatever happens to the
// path. A process that uses run() must not have other threads that rely on their namespace.
class Netns {
 public:
  // Opens `path` without following it into anything that blocks (a FIFO, a device) and makes sure
  // that it is a network namespace (NSFS_MAGIC and NS_GET_NSTYPE, Linux 4.11). Throws Error with
  // EACCES, EPERM, EMFILE... when the path cannot be judged. The calling thread's own namespace is
  // where run() comes back to.
  static std::variant<Netns, NotNetns> open(const std::string& path);

  // Whether this is the namespace the calling thread is in. Throws Error if that cannot be told.
  bool is_own() const;

  // The user namespace that owns it (NS_GET_USERNS, Linux 4.9), which never changes: asked once.
  // Throws Error.
  struct Owner {
    bool is_own = true;  // the one that the calling thread is in
    Fd fd;               // none: an ancestor of ours or one that we may not know
  };
  const Owner& owner() const;

  // For setns(2).
  int fd() const { return fd_.get(); }

  // Runs `action` inside the namespace and comes back, by exception too. Needs CAP_SYS_ADMIN unless
  // the namespace is our own.
  // Throws Error if the namespace cannot be entered. Aborts the process if it cannot come back:
  // nothing that follows may happen in a foreign namespace.
  void run(const std::function<void()>& action) const;

  // Enters it for good: run() acts where the thread is from then on, and has nothing that can fail.
  // For a process that ends soon and does nothing outside of the namespace any more. Throws Error
  // as run().
  void stay();

  // Takes an exclusive flock(2) on the namespace's file, the lock that iptables takes with
  // XTABLES_LOCKFILE. Waits at most `timeout_ms`: any process in the pod can hold it. It is held
  // until the returned value is destroyed; false if it was not to be had. Throws as
  // throw_if_interrupted().
  class Lock;
  Lock lock(int timeout_ms) const;

 private:
  Netns(Fd fd, Fd home) : fd_(std::move(fd)), home_(std::move(home)) {}

  Fd fd_;
  Fd home_;  // the namespace of the thread that opened this one
  bool stays_ = false;
  mutable std::optional<Owner> owner_;
};

class Netns::Lock {
 public:
  explicit Lock(int locked_fd) : fd_(locked_fd) {}
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  Lock(Lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Lock& operator=(Lock&&) = delete;
  ~Lock();

  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;  // Netns owns it
};

}  // namespace sluice::kernel

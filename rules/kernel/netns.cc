// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>

#include <linux/magic.h>
#include <linux/nsfs.h>

#include "rules/error.h"
#include "rules/interruption.h"
#include "rules/kernel/capability.h"

namespace sluice::kernel {
namespace {

constexpr const char* own_netns_path = "/proc/thread-self/ns/net";
constexpr const char* own_userns_path = "/proc/thread-self/ns/user";
constexpr long lock_poll_ns = 5'000'000;

// errno values of open(2) that say what the path is, not what went wrong here.
bool says_not_a_file(int errnum) {
  return errnum == ELOOP || errnum == ENAMETOOLONG || errnum == ENOTDIR || errnum == ENXIO ||
         errnum == ENODEV || errnum == EISDIR || errnum == EINVAL;
}

// Whether two files of nsfs are the same namespace.
bool is_same(const Fd& a, const Fd& b) {
  struct stat of_a {};
  struct stat of_b {};
  if (fstat(a.get(), &of_a) != 0 || fstat(b.get(), &of_b) != 0) {
    throw Error(errno, "stat a namespace");
  }
  return of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

void enter(const Fd& netns) {
  if (setns(netns.get(), CLONE_NEWNET) == 0) return;
  throw failed(errno, "enter the network namespace", Capability::sys_admin);
}

class InNetns {
 public:
  InNetns(const Fd& netns, const Fd& home) : home_(home) { enter(netns); }
  InNetns(const InNetns&) = delete;
  InNetns(InNetns&&) = delete;
  InNetns& operator=(const InNetns&) = delete;
  InNetns& operator=(InNetns&&) = delete;
  ~InNetns() {
    if (setns(home_.get(), CLONE_NEWNET) != 0) std::abort();
  }

 private:
  const Fd& home_;
};

}  // namespace

std::variant<Netns, NotNetns> Netns::open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO would wait for a writer for ever.
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) {
    const int errnum = errno;
    if (errnum == ENOENT) return NotNetns{.absent = true, .reason = "does not exist"};
    if (says_not_a_file(errnum)) return NotNetns{.reason = "is not a network namespace"};
    throw Error(errnum, "open " + quote(path));
  }
  struct statfs file_system {};
  if (fstatfs(fd.get(), &file_system) != 0) throw Error(errno, "statfs " + quote(path));
  const bool is_namespace = file_system.f_type == NSFS_MAGIC;
  const int type = is_namespace ? ioctl(fd.get(), NS_GET_NSTYPE) : 0;
  if (type < 0) throw Error(errno, "ask what kind of namespace " + quote(path) + " is");
  if (type != CLONE_NEWNET) return NotNetns{.reason = "is not a network namespace"};
  Fd home(::open(own_netns_path, O_RDONLY | O_CLOEXEC));
  if (!home) throw Error(errno, std::string("open ") + own_netns_path);
  return Netns(std::move(fd), std::move(home));
}

bool Netns::is_own() const {
  return is_same(home_, fd_);
}

const Netns::Owner& Netns::owner() const {
  if (owner_) return *owner_;
  Owner owner{.is_own = false, .fd = Fd(ioctl(fd_.get(), NS_GET_USERNS))};
  if (owner.fd) {
    const Fd ours(::open(own_userns_path, O_RDONLY | O_CLOEXEC));
    if (!ours) throw Error(errno, std::string("open ") + own_userns_path);
    owner.is_own = is_same(owner.fd, ours);
  } else if (errno != EPERM) {
    throw Error(errno, "ask for the owner of the network namespace");
  }
  return owner_.emplace(std::move(owner));
}

void Netns::run(const std::function<void()>& action) const {
  // setns(2) asks for CAP_SYS_ADMIN even where it changes nothing, and an init container has none.
  if (stays_ || is_own()) return action();
  const InNetns inside(fd_, home_);
  action();
}

void Netns::stay() {
  if (!stays_ && !is_own()) enter(fd_);
  stays_ = true;
}

Netns::Lock Netns::lock(int timeout_ms) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    // The lock is a courtesy: where it is not to be had at all, waiting does not help either.
    if (errno != EWOULDBLOCK && errno != EINTR) return Lock(-1);
    if (std::chrono::steady_clock::now() >= deadline) return Lock(-1);
    throw_if_interrupted();
    // flock(2) has no time limit and a timer signal would be one more thing to restore.
    const timespec pause{.tv_sec = 0, .tv_nsec = lock_poll_ns};
    nanosleep(&pause, nullptr);
  }
  return Lock(fd_.get());
}

Netns::Lock::~Lock() {
  if (fd_ >= 0) flock(fd_, LOCK_UN);
}

}  // namespace sluice::kernel

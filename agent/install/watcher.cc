// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/watcher.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "agent/install/temp_file.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

// One mask for all: two places may be the same directory, and so share one watch. IN_ATTRIB for a
// program that loses its mode.
constexpr std::uint32_t mask = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE |
                               IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |
                               IN_ONLYDIR;

}  // namespace

Watcher::Watcher(std::vector<WatchedPlace> places) {
  for (WatchedPlace& place : places) watches_.push_back({.place = std::move(place)});
}

bool Watcher::complete() const {
  return std::all_of(watches_.begin(), watches_.end(),
                     [](const Watch& watch) { return watch.descriptor >= 0; });
}

bool Watcher::arm() {
  fault_.clear();
  if (!fd_) {
    fd_ = kernel::Fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!fd_) {
      fault_ = Error(errno, "start inotify").what();
      return false;
    }
  }
  bool changed = false;
  for (Watch& watch : watches_) changed = arm_one(watch) || changed;
  return changed;
}

bool Watcher::arm_one(Watch& watch) {
  struct stat status {};
  const bool there = stat(watch.place.dir.c_str(), &status) == 0;
  const bool watched = watch.descriptor >= 0;
  if (watched && there && status.st_dev == watch.device && status.st_ino == watch.inode) {
    return false;
  }
  if (watched) {
    const int former = watch.descriptor;
    inotify_rm_watch(fd_.get(), former);
    forget(former);
  }
  if (!there) return watched;
  const int descriptor = inotify_add_watch(fd_.get(), watch.place.dir.c_str(), mask);
  if (descriptor < 0) {
    const int errnum = errno;
    if (errnum != ENOENT) fault_ = Error(errnum, "watch " + quote(watch.place.dir)).what();
    return watched;
  }
  watch.descriptor = descriptor;
  watch.device = status.st_dev;
  watch.inode = status.st_ino;
  return true;
}

void Watcher::forget(int descriptor) {
  for (Watch& watch : watches_) {
    if (watch.descriptor == descriptor) watch.descriptor = -1;
  }
}

bool Watcher::matters(int descriptor, const std::string& name) const {
  return std::any_of(watches_.begin(), watches_.end(), [&](const Watch& watch) {
    if (watch.descriptor != descriptor) return false;
    return watch.place.name.empty() ? !is_temp_name(name) : watch.place.name == name;
  });
}

bool Watcher::drain() {
  bool matter = false;
  // A whole number of the longest events, inotify(7).
  alignas(inotify_event) std::array<char, 16 * (sizeof(inotify_event) + 256)> buffer{};
  while (fd_) {
    const ssize_t got = read(fd_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const std::string name = event.len == 0 ? "" : buffer.data() + at + sizeof event;
      at += sizeof event + event.len;
      const bool lost = (event.mask & (IN_Q_OVERFLOW | IN_UNMOUNT)) != 0;
      const bool self = (event.mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0;
      // IN_ATTRIB of the directory itself has no name, nor has what becomes of a removed watch.
      const bool named = !name.empty() && matters(event.wd, name);
      matter = matter || lost || self || named;
      if ((event.mask & IN_IGNORED) != 0) forget(event.wd);
      if ((event.mask & IN_MOVE_SELF) != 0) {
        inotify_rm_watch(fd_.get(), event.wd);
        forget(event.wd);
      }
    }
  }
  return matter;
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// Changes in a few directories, by inotify(7), also of directories that come, go and are replaced.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "rules/kernel/fd.h"

namespace sluice::agent {

// What matters in a directory.
struct WatchedPlace {
  std::string dir;
  std::string name = {};  // that one only; empty: all but names of TempFile
};

class Watcher {
 public:
  explicit Watcher(std::vector<WatchedPlace> places);

  // Watches what is not watched, and again what stands at a path instead of what is. True if that
  // changed anything. Call it before a pass, and each second while complete() is false.
  bool arm();
  // Every place is watched.
  bool complete() const;
  // Why a directory that is there cannot be watched (limits of inotify), else empty.
  const std::string& fault() const { return fault_; }

  // Readable when there are events; -1 if there is no inotify instance to be had.
  int fd() const { return fd_.get(); }
  // Takes all events off the queue. True if one of them matters, or if some were lost.
  bool drain();

 private:
  struct Watch {
    WatchedPlace place;
    int descriptor = -1;
    dev_t device = 0;
    ino_t inode = 0;
  };
  bool arm_one(Watch& watch);
  void forget(int descriptor);
  bool matters(int descriptor, const std::string& name) const;

  std::vector<Watch> watches_;
  kernel::Fd fd_;
  std::string fault_;
};

}  // namespace sluice::agent

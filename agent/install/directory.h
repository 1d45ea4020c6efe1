// SPDX-License-Identifier: GPL-2.0-or-later
// An open directory: names are looked up in it, not along a path that may lead elsewhere by now.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rules/kernel/fd.h"

namespace sluice::agent {

class Directory {
 public:
  // nullopt if there is none at `path`, or only one that has been deleted and is still mounted
  // here; `why` tells which. Throws Error if it cannot be opened.
  static std::optional<Directory> open(const std::string& path, std::string& why);

  int fd() const { return fd_.get(); }
  // Of a name in it, for messages and results.
  std::string path_of(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

  // All names but "." and "..", in byte order. Throws Error.
  std::vector<std::string> names() const;
  // Makes what was renamed or removed in it durable, fsync(2). Throws Error.
  void sync() const;
  // Throws Error, but not if it is not there.
  void remove(const std::string& name) const;

 private:
  Directory(kernel::Fd fd, std::string path);

  kernel::Fd fd_;
  std::string path_;
};

}  // namespace sluice::agent

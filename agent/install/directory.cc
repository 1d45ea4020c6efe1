// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "rules/error.h"

namespace sluice::agent {
namespace {

struct CloseDirectory {
  void operator()(DIR* dir) const { closedir(dir); }
};

}  // namespace

Directory::Directory(kernel::Fd fd, std::string path)
    : fd_(std::move(fd)), path_(std::move(path)) {}

std::optional<Directory> Directory::open(const std::string& path, std::string& why) {
  kernel::Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    const int errnum = errno;
    if (errnum != ENOENT) throw Error(errnum, "open directory " + quote(path));
    why = "directory " + quote(path) + " does not exist";
    return std::nullopt;
  }
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) throw Error(errno, "look at directory " + quote(path));
  if (status.st_nlink == 0) {
    why = "directory " + quote(path) +
          " has been deleted and is only left as a mount: restart what mounts it";
    return std::nullopt;
  }
  return Directory(std::move(fd), path);
}

std::vector<std::string> Directory::names() const {
  // A descriptor of its own: reading moves its position. The stream closes it.
  const int fd = openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw Error(errno, "read directory " + quote(path_));
  const std::unique_ptr<DIR, CloseDirectory> stream(fdopendir(fd));
  if (!stream) {
    const int errnum = errno;
    const kernel::Fd closed(fd);
    throw Error(errnum, "read directory " + quote(path_));
  }
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    // The stream is this thread's alone.
    const dirent* entry = readdir(stream.get());  // NOLINT(concurrency-mt-unsafe)
    if (entry == nullptr) break;
    names.emplace_back(static_cast<const char*>(entry->d_name));
  }
  if (errno != 0) throw Error(errno, "read directory " + quote(path_));
  names.erase(std::remove_if(names.begin(), names.end(),
                             [](const std::string& name) { return name == "." || name == ".."; }),
              names.end());
  std::sort(names.begin(), names.end());
  return names;
}

void Directory::sync() const {
  // EINVAL: this file system has nothing to make durable, fsync(2).
  if (fsync(fd_.get()) != 0 && errno != EINVAL)
    throw Error(errno, "sync directory " + quote(path_));
}

void Directory::remove(const std::string& name) const {
  if (unlinkat(fd_.get(), name.c_str(), 0) != 0 && errno != ENOENT) {
    throw Error(errno, "remove " + quote(path_of(name)));
  }
}

}  // namespace sluice::agent

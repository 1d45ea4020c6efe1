// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/credential_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "rules/error.h"
#include "rules/kernel/fd.h"

namespace sluice::agent {
namespace {

constexpr std::size_t size_limit = std::size_t{1024} * 1024;

bool is_same(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool is_same(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         is_same(a.st_mtim, b.st_mtim) && is_same(a.st_ctim, b.st_ctim);
}

std::string read_all(int fd, const std::string& what) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error(errno, "read " + what);
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > size_limit) throw Error(what + " has more than 1 MiB");
  }
}

}  // namespace

CredentialFile::CredentialFile(std::string path, std::string what)
    : path_(std::move(path)), what_(std::move(what) + " " + quote(path_)) {}

bool CredentialFile::refresh(bool again) {
  // Not blocking: a FIFO in its place must not hold us up.
  const kernel::Fd file(open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) throw Error(errno, "open " + what_);
  struct stat now = {};
  if (fstat(file.get(), &now) != 0) throw Error(errno, "stat " + what_);
  if (!S_ISREG(now.st_mode)) throw Error(what_ + " is no regular file");
  if (!again && !text_.empty() && is_same(now, seen_)) return false;
  std::string text = read_all(file.get(), what_);
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  if (text.empty()) throw Error(what_ + " is empty");
  seen_ = now;
  const bool changed = text != text_;
  text_ = std::move(text);
  return changed;
}

}  // namespace sluice::agent

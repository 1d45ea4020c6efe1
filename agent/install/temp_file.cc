// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/temp_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "rules/error.h"

namespace sluice::agent {
namespace {

constexpr std::string_view prefix = ".sluice-tmp-";
constexpr std::string_view digits = "0123456789abcdef";
constexpr std::size_t digit_count = 16;

std::string random_name() {
  std::uint64_t number = 0;
  if (getrandom(&number, sizeof number, 0) != sizeof number)
    throw Error(errno, "get a random name");
  std::string name(prefix);
  for (std::size_t i = 0; i < digit_count; ++i) {
    name += digits[number & 0xfU];
    number >>= 4U;
  }
  return name;
}

}  // namespace

bool is_temp_name(std::string_view name) {
  return name.size() == prefix.size() + digit_count && name.substr(0, prefix.size()) == prefix &&
         name.find_first_not_of(digits, prefix.size()) == std::string_view::npos;
}

void remove_temp_files(const Directory& dir) {
  for (const std::string& name : dir.names()) {
    if (is_temp_name(name)) unlinkat(dir.fd(), name.c_str(), 0);
  }
}

TempFile::TempFile(const Directory& dir)
    : dir_(dir),
      name_(random_name()),
      fd_(openat(dir.fd(), name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                 0600)) {
  if (!fd_) throw Error(errno, "create a file in " + quote(dir.path()));
}

TempFile::~TempFile() {
  if (!placed_) unlinkat(dir_.fd(), name_.c_str(), 0);
}

void TempFile::write(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t written = ::write(fd_.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw Error(errno, "write " + quote(path()));
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void TempFile::sync() const {
  if (fsync(fd_.get()) != 0) throw Error(errno, "sync " + quote(path()));
}

bool TempFile::replace(const std::string& name) {
  if (renameat(dir_.fd(), name_.c_str(), dir_.fd(), name.c_str()) != 0) {
    if (errno == ENOENT) return false;
    throw Error(errno, "replace " + quote(dir_.path_of(name)));
  }
  placed_ = true;
  dir_.sync();
  return true;
}

bool TempFile::create(const std::string& name) {
  if (renameat2(dir_.fd(), name_.c_str(), dir_.fd(), name.c_str(), RENAME_NOREPLACE) == 0) {
    placed_ = true;
  } else if (errno == EINVAL || errno == ENOSYS) {
    // Not every file system can: a second name then, and the destructor removes the first.
    if (linkat(dir_.fd(), name_.c_str(), dir_.fd(), name.c_str(), 0) != 0) {
      if (errno == EEXIST || errno == ENOENT) return false;
      throw Error(errno, "create " + quote(dir_.path_of(name)));
    }
  } else if (errno == EEXIST || errno == ENOENT) {
    return false;
  } else {
    throw Error(errno, "create " + quote(dir_.path_of(name)));
  }
  dir_.sync();
  return true;
}

}  // namespace sluice::agent

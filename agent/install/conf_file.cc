// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/conf_file.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "agent/install/conflist.h"
#include "agent/install/temp_file.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

bool equal(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         equal(a.st_mtim, b.st_mtim) && equal(a.st_ctim, b.st_ctim);
}

// Hashes and signatures of the content would be wrong for another one.
bool is_of_content(std::string_view attribute) {
  return attribute == "security.ima" || attribute == "security.evm";
}

std::map<std::string, std::string> attributes_of(int fd, const std::string& path) {
  std::map<std::string, std::string> attributes;
  std::string list(XATTR_LIST_MAX, '\0');
  const ssize_t size = flistxattr(fd, list.data(), list.size());
  if (size < 0 && errno == ENOTSUP) return attributes;
  if (size < 0) throw Error(errno, "list the extended attributes of " + quote(path));
  list.resize(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < list.size(); i += std::string_view(list.c_str() + i).size() + 1) {
    const std::string attribute = list.c_str() + i;
    std::string value(XATTR_SIZE_MAX, '\0');
    const ssize_t length = fgetxattr(fd, attribute.c_str(), value.data(), value.size());
    if (length < 0) throw Error(errno, "read " + quote(attribute) + " of " + quote(path));
    value.resize(static_cast<std::size_t>(length));
    if (!is_of_content(attribute)) attributes[attribute] = value;
  }
  return attributes;
}

std::string read_text(int fd, const std::string& path) {
  std::string text(conf_size_limit + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(errno, "read " + quote(path));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  text.shrink_to_fit();
  return text;
}

// As the file that it replaces or is made of.
void copy_metadata(const TempFile& temp, const ConfFile& old) {
  if (fchown(temp.fd(), old.status.st_uid, old.status.st_gid) != 0) {
    throw Error(errno, "give " + quote(temp.path()) + " the owner of " + quote(old.name));
  }
  const std::map<std::string, std::string> present = attributes_of(temp.fd(), temp.path());
  for (const auto& [attribute, value] : old.attributes) {
    const auto found = present.find(attribute);
    // A label that the directory gives anyway may not be ours to set.
    if (found != present.end() && found->second == value) continue;
    if (fsetxattr(temp.fd(), attribute.c_str(), value.data(), value.size(), 0) != 0) {
      throw Error(errno, "set " + quote(attribute) + " of " + quote(temp.path()));
    }
  }
  // Last: a change of the owner takes bits away.
  if (fchmod(temp.fd(), old.status.st_mode & 07777U) != 0) {
    throw Error(errno, "give " + quote(temp.path()) + " the mode of " + quote(old.name));
  }
}

bool reads_back(const Directory& dir, const std::string& name, const std::string& text) {
  const ConfRead read = read_conf(dir, name);
  return read.file && read.file->text == text;
}

}  // namespace

ConfRead read_conf(const Directory& dir, const std::string& name) {
  const std::string path = dir.path_of(name);
  // O_NONBLOCK: opening a FIFO would wait for its writer.
  const kernel::Fd fd(
      openat(dir.fd(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) {
    const int errnum = errno;
    if (errnum == ENOENT) return {.why = nothing_there};
    if (errnum == ELOOP) return {.why = "is a symlink", .blocked = true};
    if (errnum == ENXIO) return {.why = "is not a regular file", .blocked = true};
    throw Error(errnum, "open " + quote(path));
  }
  ConfFile file;
  file.name = name;
  if (fstat(fd.get(), &file.status) != 0) throw Error(errno, "look at " + quote(path));
  if (!S_ISREG(file.status.st_mode)) return {.why = "is not a regular file", .blocked = true};
  file.text = read_text(fd.get(), path);
  if (file.text.size() > conf_size_limit) return {.why = "is larger than 1 MiB", .blocked = true};
  if (file.text.empty()) return {.why = "is empty"};
  file.attributes = attributes_of(fd.get(), path);
  struct stat after {};
  if (fstat(fd.get(), &after) != 0) throw Error(errno, "look at " + quote(path));
  if (!same_file(file.status, after)) return {.why = "is being written"};
  return {.file = std::move(file)};
}

bool is_unchanged(const Directory& dir, const ConfFile& file) {
  const ConfRead read = read_conf(dir, file.name);
  return read.file && same_file(read.file->status, file.status) && read.file->text == file.text;
}

bool replace_conf(const Directory& dir, const ConfFile& old, const std::string& text) {
  TempFile temp(dir);
  temp.write(text);
  copy_metadata(temp, old);
  temp.sync();
  return is_unchanged(dir, old) && temp.replace(old.name) && reads_back(dir, old.name, text);
}

bool create_conf(const Directory& dir, const ConfFile& old, const std::string& name,
                 const std::string& text) {
  TempFile temp(dir);
  temp.write(text);
  copy_metadata(temp, old);
  temp.sync();
  return is_unchanged(dir, old) && temp.create(name) && reads_back(dir, name, text);
}

}  // namespace sluice::agent

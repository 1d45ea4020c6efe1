// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/plugin_binary.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "agent/install/directory.h"
#include "agent/install/temp_file.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

constexpr mode_t program_mode = 0755;
constexpr std::size_t chunk_size = std::size_t{64} * 1024;

struct OpenFile {
  std::string path;
  kernel::Fd fd = {};
  struct stat status = {};
};

OpenFile open_source(const std::string& path) {
  OpenFile file{.path = path,
                .fd = kernel::Fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC))};
  if (!file.fd) throw Error(errno, "open the plugin " + quote(path));
  if (fstat(file.fd.get(), &file.status) != 0) throw Error(errno, "look at " + quote(path));
  if (!S_ISREG(file.status.st_mode) || file.status.st_size == 0) {
    throw Error("the plugin " + quote(path) + " is not a program");
  }
  return file;
}

// From `offset`; shorter than a chunk only at the end of the file.
std::string read_chunk(const OpenFile& file, off_t offset) {
  std::string chunk(chunk_size, '\0');
  std::size_t size = 0;
  while (size < chunk.size()) {
    const ssize_t got = pread(file.fd.get(), chunk.data() + size, chunk.size() - size,
                              offset + static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(errno, "read " + quote(file.path));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  chunk.resize(size);
  return chunk;
}

bool same_content(const OpenFile& a, const OpenFile& b) {
  if (a.status.st_size != b.status.st_size) return false;
  for (off_t offset = 0;; offset += static_cast<off_t>(chunk_size)) {
    const std::string chunk = read_chunk(a, offset);
    if (chunk != read_chunk(b, offset)) return false;
    if (chunk.size() < chunk_size) return true;
  }
}

// What is there already does. Throws Error if it is a directory.
bool is_in_place(const Directory& dir, const OpenFile& source) {
  OpenFile target{.path = dir.path_of(plugin_type)};
  if (fstatat(dir.fd(), plugin_type, &target.status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return false;
    throw Error(errno, "look at " + quote(target.path));
  }
  if (S_ISDIR(target.status.st_mode)) throw Error(EISDIR, "replace " + quote(target.path));
  if (!S_ISREG(target.status.st_mode) || (target.status.st_mode & 07777U) != program_mode ||
      target.status.st_uid != geteuid()) {
    return false;
  }
  target.fd = kernel::Fd(openat(dir.fd(), plugin_type, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!target.fd) throw Error(errno, "open " + quote(target.path));
  return same_content(source, target);
}

}  // namespace

PluginBinary place_plugin(const std::string& source, const std::string& bin_dir) {
  const OpenFile plugin = open_source(source);
  PluginBinary result;
  const std::optional<Directory> dir = Directory::open(bin_dir, result.why);
  if (!dir) {
    result.outcome = InstallOutcome::waiting;
    return result;
  }
  remove_temp_files(*dir);
  if (is_in_place(*dir, plugin)) return result;
  TempFile temp(*dir);
  for (off_t offset = 0;; offset += static_cast<off_t>(chunk_size)) {
    const std::string chunk = read_chunk(plugin, offset);
    temp.write(chunk);
    if (chunk.size() < chunk_size) break;
  }
  if (fchmod(temp.fd(), program_mode) != 0) {
    throw Error(errno, "make " + quote(temp.path()) + " a program");
  }
  temp.sync();
  temp.close();
  if (!temp.replace(plugin_type) || !is_in_place(*dir, plugin)) {
    throw Error("somebody else replaces " + quote(dir->path_of(plugin_type)) + " at the same time");
  }
  result.wrote = true;
  return result;
}

}  // namespace sluice::agent

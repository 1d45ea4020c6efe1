// SPDX-License-Identifier: GPL-2.0-or-later
// One network configuration on disk: read with all that a replacement must have too, and replaced.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <ctime>
#include <map>
#include <optional>
#include <string>

#include "agent/install/directory.h"

namespace sluice::agent {

struct ConfFile {
  std::string name;  // in its directory, not a symlink
  std::string text;
  struct stat status {};
  // Extended attributes, xattr(7): the SELinux label is one. Without those that the kernel computes
  // from the content.
  std::map<std::string, std::string> attributes;
};

struct ConfRead {
  std::optional<ConfFile> file = {};
  // If there is no file: what is wrong with it, to follow its name, and whether somebody has to
  // act. Otherwise it is gone or being written.
  std::string why = {};
  bool blocked = false;
};

// What ConfRead::why says of a file that is not there.
inline constexpr const char* nothing_there = "is not there";

// At most conf_size_limit bytes; symlinks are not followed. Throws Error.
ConfRead read_conf(const Directory& dir, const std::string& name);

// Whether the file is still the one that was read: same inode, size, times and content.
bool is_unchanged(const Directory& dir, const ConfFile& file);

// Both keep mode, owner and extended attributes of `old`, put the text in place by rename(2) and
// read it back. False if somebody else was faster: nothing is lost, start over. Throw Error.
// replace_conf: in the place of `old`.
bool replace_conf(const Directory& dir, const ConfFile& old, const std::string& text);
// create_conf: as `name`, which must not be there yet.
bool create_conf(const Directory& dir, const ConfFile& old, const std::string& name,
                 const std::string& text);

}  // namespace sluice::agent

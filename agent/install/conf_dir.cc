// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/conf_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "rules/error.h"

namespace sluice::agent {
namespace {

constexpr std::array<std::string_view, 3> endings{".conflist", ".conf", ".json"};

bool is_of_multus(std::string_view name) {
  constexpr std::string_view prefix = "00-multus";
  return name.substr(0, prefix.size()) == prefix;
}

// Nothing if it is not there.
std::optional<mode_t> type_of(const Directory& dir, const std::string& name) {
  struct stat status {};
  if (fstatat(dir.fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    return status.st_mode & static_cast<mode_t>(S_IFMT);
  }
  const int errnum = errno;
  if (errnum == ENOENT) return std::nullopt;
  throw Error(errnum, "look at " + quote(dir.path_of(name)));
}

// Whether `path` is the directory itself.
bool is_same_directory(const Directory& dir, const std::string& path) {
  struct stat here {};
  struct stat there {};
  return fstat(dir.fd(), &here) == 0 && fstatat(dir.fd(), path.c_str(), &there, 0) == 0 &&
         here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

// The name in `dir` that a symlink's text leads to, empty if it leads out of it.
std::string name_in(const Directory& dir, const std::string& target) {
  const std::size_t slash = target.rfind('/');
  if (slash == std::string::npos) return target;
  return is_same_directory(dir, target.substr(0, slash + 1)) ? target.substr(slash + 1)
                                                             : std::string();
}

std::string link_text(const Directory& dir, const std::string& name) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = readlinkat(dir.fd(), name.c_str(), target.data(), target.size());
  if (size < 0) throw Error(errno, "read the symlink " + quote(dir.path_of(name)));
  target.resize(static_cast<std::size_t>(size));
  return target;
}

ConfChoice no_choice(std::string why, bool blocked = false) {
  return {.why = std::move(why), .blocked = blocked};
}

ConfChoice unusable(const Directory& dir, const std::string& name, const std::string& fault,
                    bool blocked) {
  return {.name = name, .why = quote(dir.path_of(name)) + " " + fault, .blocked = blocked};
}

ConfChoice choose_first(const Directory& dir) {
  bool multus = false;
  for (const std::string& name : dir.names()) {
    if (!is_conf_name(name)) continue;
    const std::optional<mode_t> type = type_of(dir, name);
    if (!type || *type == S_IFDIR) continue;
    if (!is_of_multus(name)) return follow(dir, name);
    multus = true;
  }
  return no_choice("no network configuration " + std::string(multus ? "but multus's own " : "") +
                   "in " + quote(dir.path()) + " yet");
}

ConfChoice choose_named(const Directory& dir, const std::string& wanted) {
  if (wanted.find('/') != std::string::npos || !is_conf_name(wanted)) {
    throw Error("not the name of a network configuration: " + quote(wanted));
  }
  if (is_of_multus(wanted)) {
    return no_choice(quote(wanted) + " is multus's own: name the file that it delegates to", true);
  }
  if (type_of(dir, wanted)) return follow(dir, wanted);
  for (const std::string_view ending : endings) {
    const std::string twin = stem_of(wanted).append(ending);
    if (type_of(dir, twin)) return follow(dir, twin);
  }
  return no_choice(quote(dir.path_of(wanted)) + " is not there yet");
}

}  // namespace

bool is_conf_name(std::string_view name) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) {
    return name.size() >= ending.size() && name.substr(name.size() - ending.size()) == ending;
  });
}

bool is_list_name(std::string_view name) {
  constexpr std::string_view ending = ".conflist";
  return name.size() >= ending.size() && name.substr(name.size() - ending.size()) == ending;
}

std::string stem_of(const std::string& name) {
  return name.substr(0, name.rfind('.'));
}

ConfChoice follow(const Directory& dir, const std::string& name) {
  constexpr int most_links = 8;
  std::string file = name;
  for (int links = 0; links <= most_links; ++links) {
    const std::optional<mode_t> type = type_of(dir, file);
    if (!type) return unusable(dir, name, "is a symlink to nothing", false);
    if (*type == S_IFREG) return {.name = name, .file = file};
    if (*type != S_IFLNK) return unusable(dir, name, "is not a regular file", true);
    const std::string target = link_text(dir, file);
    file = name_in(dir, target);
    if (file.empty()) {
      return unusable(dir, name,
                      "is a symlink that leaves its directory, to " + quote(target) +
                          ": what it leads to is not ours to edit",
                      true);
    }
  }
  return unusable(dir, name, "is a symlink behind too many others", true);
}

ConfChoice choose_conf(const Directory& dir, const std::string& wanted) {
  return wanted.empty() ? choose_first(dir) : choose_named(dir, wanted);
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/host_proc.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace sluice::agent {

std::optional<NetnsId> netns_id(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return std::nullopt;
  return NetnsId{.device = status.st_dev, .inode = status.st_ino};
}

std::vector<std::string> HostProc::pids() const {
  std::vector<std::string> found;
  std::error_code error;
  std::filesystem::directory_iterator entry(root_, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    std::string name = entry->path().filename().string();
    const bool number =
        std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (number) found.push_back(std::move(name));
  }
  return found;
}

bool HostProc::is_in_cgroup_of(const std::string& pid, const std::string& pod_uid) const {
  constexpr std::size_t shortest_uid = 8;
  if (pod_uid.size() < shortest_uid) return false;
  std::ifstream file(root_ + "/" + pid + "/cgroup");
  std::ostringstream text;
  text << file.rdbuf();
  std::string spelled = pod_uid;
  std::replace(spelled.begin(), spelled.end(), '-', '_');
  const std::string groups = text.str();
  return groups.find(pod_uid) != std::string::npos || groups.find(spelled) != std::string::npos;
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/host_proc.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
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

std::string HostProc::cgroups_of(const std::string& pid) const {
  std::ifstream file(root_ + "/" + pid + "/cgroup");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool HostProc::is_in_pod_cgroup(const std::string& pid) const {
  constexpr std::string_view mark = "pod";
  constexpr std::size_t shortest_uid = 32;
  const std::string groups = cgroups_of(pid);
  for (std::size_t at = groups.find(mark); at != std::string::npos;
       at = groups.find(mark, at + mark.size())) {
    const std::size_t begin = at + mark.size();
    const std::size_t end = groups.find_first_not_of("0123456789abcdef-_", begin);
    if ((end == std::string::npos ? groups.size() : end) - begin >= shortest_uid) return true;
  }
  return false;
}

bool HostProc::is_in_cgroup_of(const std::string& pid, const std::string& pod_uid) const {
  constexpr std::size_t shortest_uid = 8;
  if (pod_uid.size() < shortest_uid) return false;
  std::string spelled = pod_uid;
  std::replace(spelled.begin(), spelled.end(), '-', '_');
  const std::string groups = cgroups_of(pid);
  return groups.find(pod_uid) != std::string::npos || groups.find(spelled) != std::string::npos;
}

}  // namespace sluice::agent

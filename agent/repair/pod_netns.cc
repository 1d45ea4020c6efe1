// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/pod_netns.h"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include "rules/error.h"

namespace sluice::agent {
namespace {

constexpr std::chrono::milliseconds files_interval{100};
constexpr std::chrono::milliseconds processes_interval{250};

bool is_due(const std::optional<Clock::time_point>& last, Clock::time_point now,
            Clock::duration interval) {
  return !last || now - *last >= interval;
}

bool holds_any(const std::vector<IpAddress>& addresses, const std::vector<IpAddress>& wanted) {
  return std::any_of(wanted.begin(), wanted.end(), [&](const IpAddress& address) {
    return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
  });
}

// The interface that holds the first of the addresses that is there; nullptr if none is.
const Link* holder(const std::vector<Link>& links, const std::vector<IpAddress>& addresses) {
  for (const IpAddress& address : addresses) {
    for (const Link& link : links) {
      if (!link.loopback && holds_any(link.addresses, {address})) return &link;
    }
  }
  return nullptr;
}

}  // namespace

PodNamespaces::PodNamespaces(std::string proc, std::vector<std::string> netns_dirs,
                             OpenNamespace open)
    : proc_(std::move(proc)), netns_dirs_(std::move(netns_dirs)), open_(std::move(open)) {}

void PodNamespaces::scan() {
  host_ = proc_.host_netns();
  const Clock::time_point now = Clock::now();
  scan_files(now);
  scan_processes(now);
}

void PodNamespaces::look_into(Seen& seen) {
  try {
    OpenedNamespace opened = open_(seen.path);
    auto* netns = std::get_if<std::unique_ptr<PodNamespace>>(&opened);
    if (netns == nullptr || (*netns)->is_own()) return;
    for (const Link& link : (*netns)->links()) {
      if (link.loopback) continue;
      seen.addresses.insert(seen.addresses.end(), link.addresses.begin(), link.addresses.end());
    }
  } catch (const std::exception&) {
    // Gone meanwhile, or not to be entered: no pod is found in it, and its state says so.
    seen.addresses.clear();
  }
}

void PodNamespaces::scan_files(Clock::time_point now) {
  files_at_ = now;
  files_.clear();
  for (const std::string& folder : netns_dirs_) {
    std::error_code error;
    std::filesystem::directory_iterator entry(folder, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      const std::string path = entry->path().string();
      const std::optional<NetnsId> id = netns_id(path);
      if (!id || *id == host_ || files_.contains(*id)) continue;
      look_into(files_[*id] = {.path = path});
    }
  }
}

void PodNamespaces::scan_processes(Clock::time_point now) {
  processes_at_ = now;
  processes_.clear();
  if (!host_) return;
  for (const std::string& pid : proc_.pids()) {
    const std::string path = proc_.netns_path(pid);
    const std::optional<NetnsId> id = netns_id(path);
    if (!id || *id == host_) continue;
    const auto [entry, is_new] = processes_.try_emplace(*id, Seen{.path = path});
    entry->second.pids.push_back(pid);
    // One that has a file was looked into already; only its processes are of interest.
    if (is_new && !files_.contains(*id)) look_into(entry->second);
  }
}

std::vector<std::string> PodNamespaces::told_paths(const std::string& told) const {
  std::vector<std::string> paths;
  const std::filesystem::path path(told);
  const std::string name = path.filename().string();
  if (name.empty() || name == "." || name == "..") return paths;
  for (const std::string& folder : netns_dirs_) {
    paths.push_back(folder);
    paths.back().append("/").append(name);
  }
  // dockershim and its heirs: /proc/PID/ns/net.
  constexpr std::string_view proc = "/proc/";
  constexpr std::string_view net = "/ns/net";
  if (host_ && told.starts_with(proc) && told.ends_with(net) &&
      told.size() > proc.size() + net.size()) {
    const std::string pid = told.substr(proc.size(), told.size() - proc.size() - net.size());
    if (pid.find('/') == std::string::npos) paths.push_back(proc_.netns_path(pid));
  }
  return paths;
}

std::vector<NetnsId> PodNamespaces::holders(const Index& index, const PodRecord& pod) {
  std::vector<NetnsId> ids;
  for (const auto& [id, seen] : index) {
    // What is gone since it was looked into holds nothing.
    if (holds_any(seen.addresses, pod.addresses) && netns_id(seen.path) == id) ids.push_back(id);
  }
  return ids;
}

bool PodNamespaces::is_of(const NetnsId& id, const PodRecord& pod) const {
  const auto seen = processes_.find(id);
  if (seen == processes_.end()) return false;
  const std::vector<std::string>& pids = seen->second.pids;
  return std::any_of(pids.begin(), pids.end(), [&](const std::string& pid) {
    return proc_.is_in_cgroup_of(pid, pod.uid) || proc_.is_in_cgroup_of(pid, pod.mirror_uid);
  });
}

// A namespace without a process (yet) is nobody else's.
bool PodNamespaces::is_of_another(const NetnsId& id, const PodRecord& pod, Clock::time_point now) {
  if (is_due(processes_at_, now, processes_interval)) scan_processes(now);
  if (is_of(id, pod)) return false;
  const auto seen = processes_.find(id);
  if (seen == processes_.end()) return false;
  const std::vector<std::string>& pids = seen->second.pids;
  return std::any_of(pids.begin(), pids.end(),
                     [&](const std::string& pid) { return proc_.is_in_pod_cgroup(pid); });
}

void PodNamespaces::narrow(std::vector<NetnsId>& ids, const PodRecord& pod, Clock::time_point now) {
  if (is_due(processes_at_, now, processes_interval)) scan_processes(now);
  std::vector<NetnsId> kept;
  for (const NetnsId& id : ids) {
    if (is_of(id, pod)) kept.push_back(id);
  }
  if (kept.size() == 1) ids = std::move(kept);
}

// Whether that settles the matter: by finding it, or by finding that it cannot be told.
bool PodNamespaces::find_in(const Index& index, const PodRecord& pod, Clock::time_point now,
                            FoundNetns& found) {
  std::vector<NetnsId> ids = holders(index, pod);
  if (ids.size() > 1) narrow(ids, pod, now);
  if (ids.empty()) return false;
  if (ids.size() == 1 && is_of_another(ids.front(), pod, now)) {
    found.why = "the network namespace that holds its address (" +
                to_string(pod.addresses.front()) + ") is another pod's";
    return false;
  }
  if (ids.size() > 1) {
    found.why = std::to_string(ids.size()) + " network namespaces hold an address of it (" +
                to_string(pod.addresses.front()) + ") and no process tells which is its own";
    return true;
  }
  const auto seen = index.find(ids.front());
  return seen != index.end() && open_of(seen->second.path, pod, found);
}

bool PodNamespaces::open_of(const std::string& path, const PodRecord& pod, FoundNetns& found) {
  const std::optional<NetnsId> before = netns_id(path);
  if (!before || *before == host_) return false;
  try {
    OpenedNamespace opened = open_(path);
    auto* netns = std::get_if<std::unique_ptr<PodNamespace>>(&opened);
    if (netns == nullptr || (*netns)->is_own()) return false;
    std::vector<Link> links = (*netns)->links();
    const Link* link = holder(links, pod.addresses);
    // A process may have gone and another, of the host, have its PID since the first look.
    if (link == nullptr || netns_id(path) != before) return false;
    found = {.netns = std::move(*netns), .links = links, .interface = link->name};
    return true;
  } catch (const Error& error) {
    found.why = error.what();
    return false;
  }
}

FoundNetns PodNamespaces::find_known(const PodRecord& pod, const std::string& told) {
  host_ = proc_.host_netns();
  FoundNetns found;
  for (const std::string& path : told_paths(told)) {
    if (open_of(path, pod, found)) return found;
  }
  for (const Index* index : {&files_, &processes_}) {
    const std::vector<NetnsId> ids = holders(*index, pod);
    if (ids.size() == 1 && open_of(index->at(ids.front()).path, pod, found)) return found;
  }
  return found;
}

FoundNetns PodNamespaces::find(const PodRecord& pod, const std::string& told,
                               Clock::time_point since) {
  host_ = proc_.host_netns();
  FoundNetns found;
  for (const std::string& path : told_paths(told)) {
    if (open_of(path, pod, found)) return found;
  }
  const Clock::time_point now = Clock::now();
  const bool files_due = is_due(files_at_, now, files_interval);
  const bool too_old = files_due && (!files_at_ || *files_at_ < since);
  if (too_old) scan_files(now);
  if (find_in(files_, pod, now, found)) return found;
  if (!too_old && files_due) {
    scan_files(now);
    if (find_in(files_, pod, now, found)) return found;
  }
  if (find_in(processes_, pod, now, found)) return found;
  if (is_due(processes_at_, now, processes_interval)) {
    scan_processes(now);
    if (find_in(processes_, pod, now, found)) return found;
  }
  if (found.why.empty()) {
    found.why = "no network namespace on this node holds its address " +
                (pod.addresses.empty() ? "" : to_string(pod.addresses.front()));
    if (!host_) found.why += "; processes are not searched: the host's own cannot be told";
  }
  return found;
}

}  // namespace sluice::agent

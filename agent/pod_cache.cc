// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/pod_cache.h"

#include <set>

namespace sluice::agent {

void PodCache::on_change(Listener listener) {
  const std::lock_guard lock(mutex_);
  listener_ = std::move(listener);
}

void PodCache::replace(std::vector<PodRecord> pods) {
  std::set<Key> present;
  for (const PodRecord& pod : pods) present.emplace(pod.name_space, pod.name);
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(pods_, [&](const auto& entry) { return !present.contains(entry.first); });
  }
  for (PodRecord& pod : pods) put(std::move(pod));
}

void PodCache::put(PodRecord pod) {
  Listener listener;
  PodRecord told;
  {
    const std::lock_guard lock(mutex_);
    PodRecord& known = pods_[{pod.name_space, pod.name}];
    if (known == pod) return;
    known = std::move(pod);
    told = known;
    listener = listener_;
  }
  if (listener) listener(told);
}

PodRecord PodCache::add(PodRecord pod) {
  Listener listener;
  {
    const std::lock_guard lock(mutex_);
    const auto known = pods_.find({pod.name_space, pod.name});
    if (known != pods_.end() && known->second.uid == pod.uid) return known->second;
    // Which of two pods of that name is the later one only the watch can tell.
    if (known != pods_.end() || erased_.contains(pod.uid)) return pod;
    pods_[{pod.name_space, pod.name}] = pod;
    listener = listener_;
  }
  if (listener) listener(pod);
  return pod;
}

void PodCache::erase(const std::string& name_space, const std::string& name,
                     const std::string& uid) {
  const std::lock_guard lock(mutex_);
  const auto found = pods_.find({name_space, name});
  if (found != pods_.end() && found->second.uid == uid) pods_.erase(found);
  constexpr std::size_t most_erased = 1024;
  if (erased_.size() >= most_erased) erased_.clear();
  erased_.insert(uid);
}

std::optional<PodRecord> PodCache::find(const std::string& name_space,
                                        const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = pods_.find({name_space, name});
  if (found == pods_.end()) return std::nullopt;
  return found->second;
}

std::vector<PodRecord> PodCache::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<PodRecord> pods;
  pods.reserve(pods_.size());
  for (const auto& [key, pod] : pods_) pods.push_back(pod);
  return pods;
}

std::size_t PodCache::size() const {
  const std::lock_guard lock(mutex_);
  return pods_.size();
}

}  // namespace sluice::agent

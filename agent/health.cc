// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/health.h"

#include <algorithm>

namespace sluice::agent {

void Health::set(const std::string& part, bool ready, const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    parts_[part] = {.ready = ready, .why = why};
  }
  changed_.notify_all();
}

std::map<std::string, Health::Part> Health::parts() const {
  const std::lock_guard lock(mutex_);
  return parts_;
}

bool Health::ready_locked() const {
  return std::all_of(parts_.begin(), parts_.end(),
                     [](const auto& entry) { return entry.second.ready; });
}

bool Health::ready() const {
  const std::lock_guard lock(mutex_);
  return ready_locked();
}

std::string Health::sentence() const {
  std::string text;
  for (const auto& [name, part] : parts()) {
    if (!part.ready) text += (text.empty() ? "" : "; ") + name + ": " + part.why;
  }
  return text.empty() ? "ready" : text;
}

void Health::turned(const std::string& loop) {
  const std::lock_guard lock(mutex_);
  turns_[loop] = std::chrono::steady_clock::now();
}

std::string Health::stuck(std::chrono::milliseconds limit) const {
  const auto now = std::chrono::steady_clock::now();
  std::string names;
  const std::lock_guard lock(mutex_);
  for (const auto& [loop, turned] : turns_) {
    if (now - turned > limit) names += (names.empty() ? "" : ", ") + loop;
  }
  return names;
}

bool Health::wait(bool wanted, int milliseconds) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(milliseconds),
                    [&] { return ready_locked() == wanted; });
  return ready_locked();
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// Another writer at the very moment at which it hurts. libiptc is linked into this program, so its
// setsockopt(2) is ours to stand in front of.
#pragma once

#include <cstdint>
#include <functional>

#include "rules/ip.h"

namespace sluice::kernel {

enum class CommitMoment : std::uint8_t {
  before_table,     // the snapshot is read and edited, the table not yet replaced
  before_counters,  // the table is replaced, the counters of the old rules are not yet added
  after_counters,
};

// While it lives, `action` runs at each of these moments of each commit of this process, in the
// committing thread, thus in its network namespace. What `action` itself commits is left alone.
class CommitHook {
 public:
  explicit CommitHook(std::function<void(CommitMoment, Family)> action);
  CommitHook(const CommitHook&) = delete;
  CommitHook(CommitHook&&) = delete;
  CommitHook& operator=(const CommitHook&) = delete;
  CommitHook& operator=(CommitHook&&) = delete;
  ~CommitHook();
};

}  // namespace sluice::kernel

// SPDX-License-Identifier: GPL-2.0-or-later
// The plugin's log lines on their way into the agent's log.
#pragma once

#include "agent/log.h"
#include "agent/lookup/rate_limit.h"
#include "cni/agent_message.h"

namespace sluice::agent {

// One thread. Lines are the work of a trusted program, but quote what tenants wrote.
class ReportLog {
 public:
  // At most `lines_per_second`; how many more there were is told in a line of its own.
  explicit ReportLog(Log log, std::uint64_t lines_per_second = 1000);

  // Each line with component plugin, its own level (info where that is none of ours) and
  // "NAMESPACE/NAME: " before it where it does not name the pod. A line is cut at 4 KiB.
  void pass_on(const cni::ReportMessage& report, RateLimit::Clock::time_point now);
  // To be called now and then while it is true of waits_to_tell().
  void tell_dropped(RateLimit::Clock::time_point now);
  bool waits_to_tell() const { return limit_.has_dropped(); }

 private:
  Log log_;
  RateLimit limit_;
};

}  // namespace sluice::agent

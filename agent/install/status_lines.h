// SPDX-License-Identifier: GPL-2.0-or-later
// When a status is worth a line of log.
#pragma once

#include <chrono>
#include <string>

#include "agent/install/installer.h"

namespace sluice::agent {

class StatusLines {
 public:
  using Clock = std::chrono::steady_clock;

  // True if the status is another than the last one told, and every five minutes as long as it is
  // not `installed`. At most ten times in five minutes: files that are rewritten without end have a
  // new fault each time.
  bool due(const InstallStatus& status, Clock::time_point now);

 private:
  bool told_any_ = false;
  InstallOutcome outcome_ = InstallOutcome::waiting;
  std::string why_;
  Clock::time_point told_ = {};
  Clock::time_point window_ = {};
  int in_window_ = 0;
};

}  // namespace sluice::agent

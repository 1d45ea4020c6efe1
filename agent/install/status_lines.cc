// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/status_lines.h"

namespace sluice::agent {
namespace {

constexpr std::chrono::minutes period{5};
constexpr int most_in_period = 10;

}  // namespace

bool StatusLines::due(const InstallStatus& status, Clock::time_point now) {
  const bool same = told_any_ && status.outcome == outcome_ && status.why == why_;
  if (same && (status.outcome == InstallOutcome::installed || now - told_ < period)) return false;
  if (!told_any_ || now - window_ >= period) {
    window_ = now;
    in_window_ = 0;
  }
  if (in_window_ == most_in_period) return false;
  ++in_window_;
  told_any_ = true;
  outcome_ = status.outcome;
  why_ = status.why;
  told_ = now;
  return true;
}

}  // namespace sluice::agent

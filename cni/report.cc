// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/report.h"

#include <cstdint>

#include "cni/code.h"
#include "cni/version.h"

namespace sluice::cni {

std::string report_packet(const Outcome& outcome, bool printed, std::chrono::microseconds took) {
  if (outcome.agent_socket.empty()) return {};
  ReportMessage report = outcome.report;
  if (!printed && outcome.exit_status == 0) {
    report.outcome = "failed";
    report.code = static_cast<int>(Code::io_failure);
  }
  report.microseconds = static_cast<std::uint64_t>(took.count());
  report.plugin_version = plugin_version();
  for (const LogLine& line : outcome.log) {
    if (line.level > outcome.log_level) continue;
    report.log.push_back({.level = to_string(line.level), .text = line.text});
  }
  return print_report(report);
}

}  // namespace sluice::cni

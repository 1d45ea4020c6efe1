// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/lookup/report_log.h"

#include <string>
#include <utility>

#include "rules/error.h"

namespace sluice::agent {
namespace {

constexpr std::size_t line_limit = std::size_t{4} * 1024;

cni::LogLevel level_of(const std::string& word) {
  for (const cni::LogLevel level :
       {cni::LogLevel::error, cni::LogLevel::warn, cni::LogLevel::info, cni::LogLevel::debug}) {
    if (word == cni::to_string(level)) return level;
  }
  return cni::LogLevel::info;
}

}  // namespace

ReportLog::ReportLog(Log log, std::uint64_t lines_per_second)
    : log_(std::move(log)), limit_(lines_per_second) {}

void ReportLog::pass_on(const cni::ReportMessage& report, RateLimit::Clock::time_point now) {
  const std::string pod = report.sandbox.name.empty()
                              ? std::string()
                              : report.sandbox.name_space + "/" + report.sandbox.name;
  for (const cni::ReportMessage::Line& line : report.log) {
    tell_dropped(now);
    if (!limit_.admit(now)) continue;
    std::string text =
        line.text.find(pod) == std::string::npos ? pod + ": " + line.text : line.text;
    if (text.size() > line_limit) text = text.substr(0, line_limit) + "...";
    log_(level_of(line.level), "plugin", printable(text));
  }
}

void ReportLog::tell_dropped(RateLimit::Clock::time_point now) {
  const std::uint64_t dropped = limit_.take_dropped(now);
  if (dropped == 0) return;
  log_(cni::LogLevel::warn, "plugin",
       std::to_string(dropped) + " lines of the plugin's log came too fast and are left out");
}

}  // namespace sluice::agent

// SPDX-License-Identifier: GPL-2.0-or-later
// The agent's log on stdout, by spdlog: text for people, or one JSON object a line.
#pragma once

#include <memory>

#include "agent/log.h"

namespace sluice::cmd {

enum class LogFormat { text, json };

// Lines pass through a short queue to a thread of their own. Where nobody reads stdout the oldest
// ones are lost: nothing that answers a plugin may wait for a log. What is queued at the end is
// written when the object goes.
class LogSink {
 public:
  LogSink(cni::LogLevel level, LogFormat format);
  ~LogSink();
  LogSink(const LogSink&) = delete;
  LogSink(LogSink&&) = delete;
  LogSink& operator=(const LogSink&) = delete;
  LogSink& operator=(LogSink&&) = delete;

  // Valid as long as the sink.
  agent::Log log();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::cmd

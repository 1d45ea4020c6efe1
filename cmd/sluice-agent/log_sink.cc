// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice-agent/log_sink.h"

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <string>

#include "cni/json.h"
#include "rules/error.h"

namespace sluice::cmd {
namespace {

constexpr std::size_t queue_lines = 512;

spdlog::level::level_enum spdlog_level(cni::LogLevel level) {
  switch (level) {
    case cni::LogLevel::none:
      return spdlog::level::off;
    case cni::LogLevel::error:
      return spdlog::level::err;
    case cni::LogLevel::warn:
      return spdlog::level::warn;
    case cni::LogLevel::info:
      return spdlog::level::info;
    case cni::LogLevel::debug:
      return spdlog::level::debug;
  }
  return spdlog::level::info;
}

// spdlog's patterns do not escape; a part of a JSON object is printed by the JSON library.
std::string json_members(const char* component, const std::string& text) {
  const std::string object = cni::to_line({{"component", component}, {"message", text}});
  return object.substr(1, object.size() - 2);
}

}  // namespace

struct LogSink::State {
  State(cni::LogLevel level, LogFormat chosen)
      : format(chosen),
        pool(std::make_shared<spdlog::details::thread_pool>(queue_lines, 1)),
        logger(std::make_shared<spdlog::async_logger>(
            "sluice-agent", std::make_shared<spdlog::sinks::stdout_sink_mt>(), pool,
            spdlog::async_overflow_policy::overrun_oldest)) {
    logger->set_level(spdlog_level(level));
    logger->set_pattern(format == LogFormat::json
                            ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                            : "%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                        spdlog::pattern_time_type::utc);
    logger->flush_on(spdlog::level::debug);
  }

  LogFormat format;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> logger;
};

LogSink::LogSink(cni::LogLevel level, LogFormat format)
    : state_(std::make_unique<State>(level, format)) {}

LogSink::~LogSink() = default;

agent::Log LogSink::log() {
  return
      [state = state_.get()](cni::LogLevel level, const char* component, const std::string& text) {
        const spdlog::level::level_enum as = spdlog_level(level);
        if (as == spdlog::level::off || !state->logger->should_log(as)) return;
        const std::string line = state->format == LogFormat::json
                                     ? json_members(component, text)
                                     : component + (": " + printable(text));
        state->logger->log(as, spdlog::string_view_t(line));
      };
}

}  // namespace sluice::cmd

// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/install_loop.h"

#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <optional>
#include <utility>

#include "agent/install/status_lines.h"
#include "agent/install/undo_pace.h"
#include "agent/install/watcher.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

using Clock = std::chrono::steady_clock;
using cni::LogLevel;

// How long files must be quiet before they are judged, and how long that may be put off.
constexpr std::chrono::milliseconds debounce{500};
constexpr std::chrono::milliseconds longest_debounce{2000};
// However many events there are, the queue is emptied this rarely.
constexpr std::chrono::milliseconds gather{100};
constexpr std::chrono::seconds absent_poll{1};
// Between passes where inotify has no room for a watch.
constexpr std::chrono::seconds unwatched_poll{5};

// Which file it is, in which state.
struct FileState {
  struct stat status = {};
  bool there = false;

  explicit FileState(const std::string& path) : there(stat(path.c_str(), &status) == 0) {}
  bool operator==(const FileState& other) const {
    return there == other.there && status.st_dev == other.status.st_dev &&
           status.st_ino == other.status.st_ino && status.st_size == other.status.st_size &&
           status.st_ctim.tv_sec == other.status.st_ctim.tv_sec &&
           status.st_ctim.tv_nsec == other.status.st_ctim.tv_nsec;
  }
};

LogLevel level_of(InstallOutcome outcome) {
  switch (outcome) {
    case InstallOutcome::installed:
    case InstallOutcome::waiting:
      return LogLevel::info;
    case InstallOutcome::blocked:
      return LogLevel::warn;
    case InstallOutcome::failed:
      break;
  }
  return LogLevel::error;
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder;
}

int milliseconds(Clock::duration duration) {
  const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  constexpr std::chrono::milliseconds::rep longest = 3'600'000;
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(rounded, 0, longest));
}

// From the start of the loop to its end.
class LoopRun {
 public:
  LoopRun(const InstallConfig& config, Health& health, const Log& log, const InstallHooks& hooks,
          int recheck_seconds)
      : config_(config),
        health_(health),
        log_(log),
        hooks_(hooks),
        recheck_(recheck_seconds),
        binary_path_(config.bin_dir + "/" + plugin_type),
        watcher_({{.dir = config.conf_dir},
                  {.dir = config.bin_dir, .name = plugin_type},
                  {.dir = folder_of(config.plugin_source),
                   .name = std::filesystem::path(config.plugin_source).filename()}}),
        source_(config.plugin_source),
        tried_binary_("") {}

  void run(int stop_fd);

 private:
  Clock::time_point next_pass() const;
  bool wait(int stop_fd);
  void note_event();
  void pass();
  void tell(const InstallStatus& status, double seconds);
  void tell_health(const InstallStatus& status);
  void tell_undone(const InstallStatus& status);
  void undone(const char* what, const std::string& path);
  void tell_unwatched();
  void try_binary();

  const InstallConfig& config_;
  Health& health_;
  const Log& log_;
  const InstallHooks& hooks_;
  std::chrono::seconds recheck_;
  std::string binary_path_;

  Watcher watcher_;
  std::optional<Clock::time_point> first_event_;
  Clock::time_point last_event_ = {};
  Clock::time_point last_pass_ = {};

  UndoPace pace_;
  StatusLines lines_;
  std::optional<InstallStatus> last_;
  std::string entry_file_;  // where the last pass that could tell has left the entry
  bool had_binary_ = false;
  FileState source_;
  bool entry_ready_ = false;
  FileState tried_binary_;
  std::optional<std::string> binary_fault_;
  std::string watch_fault_;
};

Clock::time_point LoopRun::next_pass() const {
  Clock::time_point next = last_pass_ + recheck_;
  if (!watcher_.fault().empty()) next = std::min(next, last_pass_ + unwatched_poll);
  if (first_event_) {
    next = std::min({next, last_event_ + debounce, *first_event_ + longest_debounce});
  }
  return std::max(next, pace_.not_before());
}

void LoopRun::note_event() {
  last_event_ = Clock::now();
  if (!first_event_) first_event_ = last_event_;
}

// Until the next pass is due; false if the loop is to stop.
bool LoopRun::wait(int stop_fd) {
  for (Clock::time_point now = Clock::now(); now < next_pass(); now = Clock::now()) {
    health_.turned("install");
    Clock::duration left = next_pass() - now;
    if (!watcher_.complete()) left = std::min<Clock::duration>(left, absent_poll);
    std::array<pollfd, 2> ready{{{.fd = stop_fd, .events = POLLIN, .revents = 0},
                                 {.fd = watcher_.fd(), .events = POLLIN, .revents = 0}}};
    poll(ready.data(), ready.size(), milliseconds(left));
    if (ready[0].revents != 0) return false;
    if (ready[1].revents != 0) {
      if (poll(ready.data(), 1, milliseconds(gather)) > 0) return false;
      if (watcher_.drain()) note_event();
    }
    if (!watcher_.complete() && watcher_.arm()) note_event();
  }
  pollfd stop{.fd = stop_fd, .events = POLLIN, .revents = 0};
  return poll(&stop, 1, 0) <= 0;
}

void LoopRun::pass() {
  health_.turned("install");
  // What happens from here on makes another pass.
  watcher_.arm();
  watcher_.drain();
  first_event_.reset();
  const Clock::time_point start = Clock::now();
  const InstallStatus status = install(config_);
  last_pass_ = Clock::now();
  tell_undone(status);
  tell_health(status);
  tell(status, std::chrono::duration<double>(last_pass_ - start).count());
  try_binary();
  tell_unwatched();
}

void LoopRun::tell(const InstallStatus& status, double seconds) {
  const bool idle = last_ && last_->outcome == status.outcome && last_->why == status.why &&
                    !status.wrote_binary && !status.wrote_conf;
  last_ = status;
  if (!idle && hooks_.on_pass) hooks_.on_pass(status, seconds);
  if (lines_.due(status, last_pass_)) {
    log_(level_of(status.outcome), "install",
         std::string(to_string(status.outcome)) + ": " + status.why);
  }
}

void LoopRun::tell_health(const InstallStatus& status) {
  if (status.outcome == InstallOutcome::installed) {
    entry_ready_ = true;
  } else if (status.outcome == InstallOutcome::blocked) {
    entry_ready_ = false;
  } else if (status.entry != EntryState::unknown) {
    entry_ready_ = status.entry == EntryState::present;
  }
  health_.set("install", entry_ready_, status.why);
}

void LoopRun::tell_undone(const InstallStatus& status) {
  const FileState source(config_.plugin_source);
  // A new plugin of ours is no doing of others.
  if (status.wrote_binary && had_binary_ && source == source_) undone("binary", binary_path_);
  source_ = source;
  had_binary_ = had_binary_ || status.wrote_binary || status.outcome == InstallOutcome::installed;
  if (status.outcome == InstallOutcome::installed) {
    // In another file it is another network's: nobody has undone anything.
    if (status.wrote_conf && status.file == entry_file_) undone("entry", status.file);
    entry_file_ = status.file;
  }
  if (pace_.settled(last_pass_)) log_(LogLevel::info, "install", "nobody undoes it any more");
}

void LoopRun::undone(const char* what, const std::string& path) {
  if (hooks_.on_undone) hooks_.on_undone(what);
  if (!pace_.undone(last_pass_)) return;
  log_(LogLevel::warn, "install",
       "somebody keeps undoing the " + std::string(what) + " in " + quote(path) +
           ": it is put back, but more and more rarely (Cilium needs cni.exclusive=false)");
}

void LoopRun::tell_unwatched() {
  if (watcher_.fault() == watch_fault_) return;
  watch_fault_ = watcher_.fault();
  if (watch_fault_.empty()) return;
  log_(LogLevel::warn, "install", watch_fault_ + ": it is looked at every 5 s instead");
}

void LoopRun::try_binary() {
  const FileState binary(binary_path_);
  if (binary_fault_ && binary_fault_->empty() && binary == tried_binary_) return;
  const std::string fault =
      binary.there ? try_plugin(binary_path_) : quote(binary_path_) + " is not there";
  tried_binary_ = binary;
  health_.set("plugin", fault.empty(), fault.empty() ? quote(binary_path_) + " answers" : fault);
  if (binary_fault_ != fault && !fault.empty()) log_(LogLevel::error, "install", fault);
  binary_fault_ = fault;
}

void LoopRun::run(int stop_fd) {
  do {
    pass();
  } while (wait(stop_fd));
}

}  // namespace

InstallLoop::InstallLoop(InstallConfig config, Health& health, Log log, InstallHooks hooks,
                         int recheck_seconds)
    : config_(std::move(config)),
      health_(health),
      log_(std::move(log)),
      hooks_(std::move(hooks)),
      recheck_seconds_(recheck_seconds) {}

void InstallLoop::run(int stop_fd) {
  LoopRun(config_, health_, log_, hooks_, recheck_seconds_).run(stop_fd);
}

}  // namespace sluice::agent

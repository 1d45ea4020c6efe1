// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the parts that speak with an API server, for tests/agent/kube_test.py:
//   kube_driver watch URL TOKEN_FILE CA_FILE NODE [ANSWER_MS LIST_SILENCE_MS WATCH_SILENCE_MS]
// logs as JSON lines until its stdin ends; each line on stdin is answered by the whole cache, or if
// it is "changes" by how often the cache has changed.
//   kube_driver actions URL TOKEN_FILE CA_FILE NODE
// does what each line of JSON on stdin says and prints one line for it.
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <exception>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/kube/pod_actions.h"
#include "agent/kube/pod_watch.h"
#include "cni/json.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

using cni::Json;

void print(const Json& line) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::cout << cni::to_line(line) << std::endl;
}

std::uint64_t kib_of(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(key + ":", 0) == 0) return std::stoull(line.substr(key.size() + 1));
  }
  return 0;
}

double cpu_seconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Json whole(const PodCache& cache, const Health& health) {
  Json pods = Json::array();
  std::size_t bytes = 0;
  for (const PodRecord& pod : cache.all()) {
    bytes += pod.object.size();
    pods.push_back({{"name", pod.name},
                    {"namespace", pod.name_space},
                    {"uid", pod.uid},
                    {"addresses", pod.addresses.size()},
                    {"finished", pod.finished},
                    {"validation_failed", pod.validation_failed},
                    {"object", pod.object.size() < std::size_t{64} * 1024 ? pod.object : "large"}});
  }
  const Health::Part part = health.parts().at("watch");
  return {{"cache", pods},       {"bytes", bytes},         {"ready", part.ready},
          {"why", part.why},     {"rss", kib_of("VmRSS")}, {"peak", kib_of("VmHWM")},
          {"cpu", cpu_seconds()}};
}

int watch(const ApiConfig& api, const std::vector<std::string>& args) {
  WatchTimes times;
  if (args.size() == 4) {
    times = {.answer = std::chrono::milliseconds(std::stol(args[1])),
             .list_silence = std::chrono::milliseconds(std::stol(args[2])),
             .watch_silence = std::chrono::milliseconds(std::stol(args[3]))};
  }
  PodCache cache;
  Health health;
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> changes = 0;
  cache.on_change([&](const PodRecord&) { ++changes; });
  const Log log = [](cni::LogLevel level, const char* component, const std::string& text) {
    print({{"log", cni::to_string(level)}, {"component", component}, {"text", text}});
  };
  const WatchHooks hooks{.on_restart = [](const std::string& why) { print({{"restart", why}}); }};
  PodWatch pods(api, args[0], cache, health, log, hooks, times);
  std::thread thread([&] { pods.run([&] { return stop.load(); }); });
  for (std::string line; std::getline(std::cin, line);) {
    Json answer = line == "changes" ? Json::object() : whole(cache, health);
    answer["changes"] = changes.load();
    print(answer);
  }
  stop = true;
  thread.join();
  print({{"stopped", true}});
  return 0;
}

PodRecord pod_of(const Json& command) {
  PodRecord pod;
  pod.name_space = command.value("namespace", "demo");
  pod.name = command.value("name", "");
  pod.uid = command.value("uid", "");
  return pod;
}

Json act(PodActions& actions, ApiServer& server, const Json& command) {
  const std::string verb = command.at("do");
  if (verb == "event") {
    actions.event(pod_of(command), command.at("type"), command.at("reason"), command.at("message"));
  } else if (verb == "delete") {
    actions.remove(pod_of(command));
  } else if (verb == "label") {
    actions.label(pod_of(command), command.at("key"), command.at("value"));
  } else if (verb == "untaint") {
    return actions.remove_taints(command.at("keys").get<std::vector<std::string>>());
  } else if (verb == "daemonset") {
    return is_daemonset_deleted(server, command.at("namespace"), command.at("name"));
  } else if (verb == "get") {
    const ApiResponse response = server.send(
        {.path = command.at("path")}, std::chrono::milliseconds(command.value("deadline", 5000)));
    return {{"status", response.status},
            {"size", response.body.size()},
            {"message", api_message(response)},
            {"retry_after", response.retry_after.count()}};
  } else {
    return "unknown";
  }
  return "done";
}

int act_on(const ApiConfig& api, const std::string& node) {
  const std::unique_ptr<PodActions> actions = make_pod_actions(api, node);
  ApiServer server(api);
  for (std::string line; std::getline(std::cin, line);) {
    try {
      print({{"result", act(*actions, server, Json::parse(line))}});
    } catch (const Error& error) {
      print({{"error", error.what()}, {"code", error.code().value()}});
    }
  }
  return 0;
}

int run(const std::vector<std::string>& args) {
  if (args.size() < 5) {
    std::cerr << "usage: kube_driver watch|actions URL TOKEN_FILE CA_FILE NODE\n";
    return 2;
  }
  const ApiConfig api{.url = args[1], .token_file = args[2], .ca_file = args[3]};
  if (args[0] == "watch") return watch(api, {args.begin() + 4, args.end()});
  return act_on(api, args[4]);
}

}  // namespace
}  // namespace sluice::agent

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return sluice::agent::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "kube_driver: " << error.what() << '\n';
    return 1;
  }
}

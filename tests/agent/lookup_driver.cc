// SPDX-License-Identifier: GPL-2.0-or-later
// Runs a LookupServer for tests/agent/lookup_test.py:
//   lookup_driver SOCKET URL TOKEN_FILE CA_FILE NODE DEADLINE_MS
// prints what happens as JSON lines until its stdin ends, then how long it took to stop.
#include <sys/eventfd.h>

#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/lookup/lookup_server.h"
#include "cni/json.h"
#include "rules/kernel/fd.h"

namespace sluice::agent {
namespace {

using Clock = std::chrono::steady_clock;

void print(const cni::Json& line) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::cout << cni::to_line(line) << std::endl;
}

LookupHooks hooks() {
  return {.on_lookup =
              [](const char* source, double) {
                print({{"lookup", source}});
              },
          .on_sandbox = {},
          .on_report =
              [](const cni::ReportMessage& report) {
                print({{"report", report.command}});
              },
          .status = [] { return std::string(R"({"version":1,"node":"n1","ready":true})"); }};
}

int drive(const std::vector<std::string>& args) {
  PodCache cache;
  Health health;
  const kernel::Fd stop(eventfd(0, EFD_CLOEXEC));
  LookupServer server(
      {.socket = args[0],
       .deadline_ms = static_cast<std::uint32_t>(std::stoul(args[5])),
       .node = args[4]},
      {.url = args[1], .token_file = args[2], .ca_file = args[3]}, cache, health,
      [](cni::LogLevel level, const char* component, const std::string& text) {
        print({{"log", cni::to_string(level)}, {"component", component}, {"text", text}});
      },
      hooks());
  std::thread thread([&] { server.run(stop.get()); });
  while (!health.parts().at("lookup").ready) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  print({{"listens", true}});
  for (std::string line; std::getline(std::cin, line);) print({{"pods", cache.size()}});
  const auto start = Clock::now();
  eventfd_write(stop.get(), 1);
  thread.join();
  print({{"stopped", std::chrono::duration<double>(Clock::now() - start).count()}});
  return 0;
}

}  // namespace
}  // namespace sluice::agent

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() != 6) return 64;
  try {
    return sluice::agent::drive(args);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}

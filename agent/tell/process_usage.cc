// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tell/process_usage.h"

#include <unistd.h>

#include <ctime>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace sluice::agent {
namespace {

double seconds(clockid_t clock) {
  timespec now{};
  if (clock_gettime(clock, &now) != 0) return 0;
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double size = 0;
  double resident = 0;
  file >> size >> resident;
  return file ? resident * static_cast<double>(sysconf(_SC_PAGESIZE)) : 0;
}

// Field 22, in ticks since the machine started. The second field, the program's name, may hold
// blanks and brackets.
double start_seconds() {
  std::ifstream file("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  for (int number = 3; number < 22; ++number) fields >> field;
  double ticks = 0;
  fields >> ticks;
  if (!fields) return 0;
  return seconds(CLOCK_REALTIME) - seconds(CLOCK_BOOTTIME) +
         ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

ProcessUsage process_usage() {
  static const double start = start_seconds();
  return {.resident_bytes = resident_bytes(),
          .cpu_seconds = seconds(CLOCK_PROCESS_CPUTIME_ID),
          .start_seconds = start};
}

}  // namespace sluice::agent

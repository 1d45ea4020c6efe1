// SPDX-License-Identifier: GPL-2.0-or-later
// What this process takes: proc(5), clock_gettime(2).
#pragma once

namespace sluice::agent {

// 0 where the kernel does not tell.
struct ProcessUsage {
  double resident_bytes = 0;
  double cpu_seconds = 0;    // user and system, of all threads
  double start_seconds = 0;  // of the process, since the Unix epoch
};

ProcessUsage process_usage();

}  // namespace sluice::agent

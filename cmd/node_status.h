// SPDX-License-Identifier: GPL-2.0-or-later
// What an agent says of its node, as text that a person can read. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice::cmd {

struct NodeTable {
  bool ready = false;
  std::string text = {};  // lines, each ended by a newline
};

// `json` is NodeStatus (agent/tell/status.h) of an agent of any version: keys that are missing or
// of another type show as "-", others are ignored. The pods that need somebody stand first. A line
// has at most 240 columns, control characters are shown as \xNN, and 10,000 pods are listed at
// most. Throws Error if it is no JSON object.
NodeTable node_table(std::string_view json);

}  // namespace sluice::cmd

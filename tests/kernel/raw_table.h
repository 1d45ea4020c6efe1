// SPDX-License-Identifier: GPL-2.0-or-later
// Tables past libiptc. Written: such as iptables would never write but the kernel accepts, as
// whoever may write tables in a pod can. Read: to compare bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "rules/ip.h"
#include "rules/rule.h"

namespace sluice::kernel {

// The kernel's numbers (linux/netfilter.h, x_tables.h) for the end of a rule.
inline constexpr int raw_accept = -2;
inline constexpr int raw_return = -5;

// Entries of table filter; all of them match every packet.
struct RawJump {
  std::size_t to;  // an entry's position
};
struct RawVerdict {
  int verdict = raw_accept;
};
// The head of a chain, or the end of the table. At most 30 bytes, which need not end in a NUL.
struct RawError {
  std::string name;
};
using RawEntry = std::variant<RawVerdict, RawJump, RawError>;

struct RawFilter {
  std::vector<RawEntry> entries;
  // The positions of the first and the last entry of INPUT, FORWARD and OUTPUT.
  std::array<std::size_t, 3> first{};
  std::array<std::size_t, 3> policy{};
};

// The entries of a table in the calling thread's namespace as the kernel hands them out, one after
// the other, without their counters. Empty if there is no such table.
std::vector<std::uint8_t> raw_entries(Family family, Table table);

// Replaces table filter in the calling thread's namespace. Returns 0 or errno.
int write_filter(Family family, const RawFilter& filter);

}  // namespace sluice::kernel

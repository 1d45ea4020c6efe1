// SPDX-License-Identifier: GPL-2.0-or-later
// The table of istio-iptables' flags and variables.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "cmd/sluice/istio_iptables/options.h"

namespace sluice::cmd::istio_iptables {

struct Flag {
  std::string_view name;  // without the dashes; "" for what only a variable can set
  char letter = '\0';
  bool boolean = false;
  // In the order in which they are read, so that the last one wins.
  std::array<const char*, 2> variables = {};
  const char* help = "";
  // Throws Error naming the offending part of `text`.
  void (*set)(Options& options, std::string_view text) = nullptr;
};

const std::vector<Flag>& flags();

// nullptr if there is none.
const Flag* find_flag(std::string_view name);
const Flag* find_flag(char letter);

}  // namespace sluice::cmd::istio_iptables

// SPDX-License-Identifier: GPL-2.0-or-later
// The table of istio-iptables' flags and variables.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/sluice/istio_iptables/options.h"

namespace sluice::cmd::istio_iptables {

enum class FlagType : std::uint8_t { text, boolean };

struct Flag {
  std::string_view name;  // without the dashes; "" for what only a variable can set
  char letter = '\0';
  FlagType type = FlagType::text;
  // Separated by blanks, in the order in which they are read: the last one wins.
  std::string_view variables = {};
  const char* help = "";
  // Throws Error naming the offending part of `text`.
  void (*set)(Options& options, std::string_view text) = nullptr;
};

std::span<const Flag> flags();
// The names in Flag::variables.
std::vector<std::string> variables_of(const Flag& flag);

// nullptr if there is none.
const Flag* find_flag(std::string_view name);
const Flag* find_flag(char letter);

}  // namespace sluice::cmd::istio_iptables

// SPDX-License-Identifier: GPL-2.0-or-later
// What the fuzzers share. Each file here is one: libFuzzer calls LLVMFuzzerTestOneInput, and ends
// with a report if that aborts, leaks, or takes more than the time and memory that ./dev allows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace sluice::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline void require(bool condition, const char* what, std::string_view detail = {}) {
  if (condition) return;
  std::fprintf(stderr, "not so: %s: %.*s\n", what, static_cast<int>(detail.size()), detail.data());
  std::abort();
}

// What ends up in an Event: one line, not too long, never empty.
inline void require_message(std::string_view message) {
  require(!message.empty() && message.size() <= 1024, "a message has 1 to 1024 bytes", message);
  for (const char c : message) {
    require(static_cast<unsigned char>(c) >= ' ' && c != '\x7f', "a message is one line", message);
  }
}

// The first byte and what follows it: which of several things to try, and the input.
inline std::pair<std::uint8_t, std::string_view> choice_of(std::string_view text) {
  if (text.empty()) return {0, text};
  return {static_cast<std::uint8_t>(text.front()), text.substr(1)};
}

}  // namespace sluice::fuzz

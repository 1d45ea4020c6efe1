// SPDX-License-Identifier: GPL-2.0-or-later
// The words of one line of iptables-save's output, and the options of one match or target among
// them. Part of the implementation of parse_save (text.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/ip.h"

namespace sluice {

using Words = std::vector<std::string>;

// Splits at blanks. A quoted word keeps its quotes: an Opaque shows it as it was. Throws Error if
// a quote is not closed.
Words split_words(std::string_view line);

// The words with a blank between them.
std::string join(const Words& words);

// What a word of split_words means: its text without the quotes around it and without the
// backslashes that protect a character in them. Nothing for a word with quotes in other places.
std::optional<std::string> unquoted(const std::string& word);

// A value and the bits of it that count, "0x1/0xff"; all bits count in "0x1".
struct Masked {
  std::uint32_t value = 0;
  std::uint32_t mask = 0;
};

// Hexadecimal behind "0x", else decimal, up to 32 bits. Throws Error naming the text.
std::uint32_t parse_bits(std::string_view text);
Masked parse_masked(std::string_view text);

// "80" or "8000:8100", 0 to 65535. Throws Error naming the text.
PortRange parse_port_words(std::string_view text);

// Walks over the options of one match or target: `[!] --name value...`.
class Options {
 public:
  // `words` must live as long.
  explicit Options(const Words& words) : words_(words) {}

  bool done() const { return next_ >= words_.size(); }
  bool take_negation() {
    if (words_[next_] != "!" || next_ + 1 >= words_.size()) return false;
    ++next_;
    return true;
  }
  const std::string& take() { return words_[next_++]; }
  std::size_t left() const { return words_.size() - next_; }

 private:
  const Words& words_;
  std::size_t next_ = 0;
};

}  // namespace sluice

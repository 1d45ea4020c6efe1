// SPDX-License-Identifier: GPL-2.0-or-later
// The smallest parts of nft(8)'s text. Part of the implementation of text.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "rules/error.h"

namespace sluice::nft {

// Words with something between them.
class Words {
 public:
  explicit Words(std::string_view separator) : separator_(separator) {}

  void add(std::string_view word) {
    if (count_++ > 0) text_ += separator_;
    text_ += word;
  }
  std::size_t count() const { return count_; }
  const std::string& text() const { return text_; }

 private:
  std::string_view separator_;
  std::string text_;
  std::size_t count_ = 0;
};

// ENOTSUP: nf_tables has no equal of `what`.
Error no_equal_of(const std::string& what);

// "0x00000539".
std::string hexadecimal(std::uint32_t value);

// "7", "7-9". Throws Error (EINVAL) if the range is reversed.
std::string spelled_range(std::uint32_t first, std::uint32_t last);

}  // namespace sluice::nft

// SPDX-License-Identifier: GPL-2.0-or-later
// A stream of bytes as lines.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace sluice::agent {

class LineReader {
 public:
  explicit LineReader(std::size_t limit) : limit_(limit) {}

  // Calls `on_line` with each line that the next bytes complete, without its line feed, until it
  // returns false. What it returned last; true if it was not called. Throws Error for a line
  // longer than the limit.
  bool feed(std::string_view chunk, const std::function<bool(std::string_view line)>& on_line);

 private:
  void keep(std::string_view part);

  std::size_t limit_;
  std::string rest_ = {};  // of a line that has not ended yet
};

}  // namespace sluice::agent

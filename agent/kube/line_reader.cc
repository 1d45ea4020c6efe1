// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/line_reader.h"

#include "rules/error.h"

namespace sluice::agent {

void LineReader::keep(std::string_view part) {
  if (rest_.size() + part.size() > limit_) {
    throw Error("a line has more than " + std::to_string(limit_) + " bytes");
  }
  rest_ += part;
}

bool LineReader::feed(std::string_view chunk,
                      const std::function<bool(std::string_view line)>& on_line) {
  for (;;) {
    const std::size_t end = chunk.find('\n');
    keep(chunk.substr(0, end));
    if (end == std::string_view::npos) return true;
    chunk.remove_prefix(end + 1);
    const bool go_on = on_line(rest_);
    rest_.clear();
    if (!go_on) return false;
  }
}

}  // namespace sluice::agent

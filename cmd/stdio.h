// SPDX-License-Identifier: GPL-2.0-or-later
// Reading and writing whole files by descriptor, without iostreams: they cost the plugin start-up
// time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::cmd {

// All that `fd` gives up to end of file. Throws Error: EFBIG if it is more than `limit` bytes,
// what throw_if_interrupted() throws, else the errno of read(2). `what` names it in messages.
std::string read_all(int fd, std::size_t limit, const std::string& what);

// Writes all of `text`; false if that fails, or is interrupted where it would have to wait.
bool write_all(int fd, std::string_view text);

// Writes to stderr what fits without waiting: a log nobody reads must not hold up a pod.
void write_log(std::string line);

// Makes descriptors 0 to 2 refer to something, so that no file opened later takes their place.
// Returns false if stdout was closed.
bool open_standard_descriptors();

}  // namespace sluice::cmd

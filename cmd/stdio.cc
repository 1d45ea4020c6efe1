// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/stdio.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "rules/error.h"
#include "rules/interruption.h"

namespace sluice::cmd {
namespace {

bool is_interrupted() {
  try {
    throw_if_interrupted();
  } catch (const Error&) {
    return true;
  }
  return false;
}

}  // namespace

std::string read_all(int fd, std::size_t limit, const std::string& what) {
  constexpr std::size_t first_chunk = std::size_t{16} * 1024;
  std::string text;
  std::size_t size = 0;
  for (;;) {
    if (size == text.size()) text.resize(std::max(first_chunk, size * 2));
    throw_if_interrupted();
    const ssize_t got = read(fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(errno, "read " + what);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    if (size > limit) {
      throw Error(std::make_error_code(std::errc::file_too_large),
                  what + " is larger than " + std::to_string(limit / 1024 / 1024) + " MiB");
    }
  }
  text.resize(size);
  return text;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR && !is_interrupted()) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

void write_log(std::string line) {
  // poll(2) promises room for PIPE_BUF bytes in a pipe, pipe(7).
  line.resize(std::min<std::size_t>(line.size(), PIPE_BUF - 1));
  line += '\n';
  pollfd ready{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0) {
    write_all(STDERR_FILENO, line);
  }
}

bool open_standard_descriptors() {
  const bool has_stdout = fcntl(STDOUT_FILENO, F_GETFD) >= 0;
  int fd = 0;
  do {
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
  return has_stdout;
}

}  // namespace sluice::cmd

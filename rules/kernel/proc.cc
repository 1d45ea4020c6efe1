// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/proc.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "rules/error.h"
#include "rules/kernel/fd.h"

namespace sluice::kernel {

std::string read_proc_net(const std::string& name) {
  const std::string path = "/proc/thread-self/net/" + name;
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return {};
    throw Error(errno, "open " + path);
  }
  // A pod's processes decide how much there is: some 80 bytes for each address.
  constexpr std::size_t limit = std::size_t{4} * 1024 * 1024;
  std::string text;
  std::array<char, 2048> chunk{};
  for (;;) {
    const ssize_t size = read(fd.get(), chunk.data(), chunk.size());
    if (size < 0) throw Error(errno, "read " + path);
    if (size == 0) return text;
    if (text.size() > limit) throw Error(E2BIG, "read " + path);
    text.append(chunk.data(), static_cast<std::size_t>(size));
  }
}

}  // namespace sluice::kernel

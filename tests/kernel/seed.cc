// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/seed.h"

#include <cstdlib>

namespace sluice::kernel {

std::uint32_t test_seed() {
  static const std::uint32_t seed = [] {
    const char* asked = std::getenv("SLUICE_SEED");
    if (asked == nullptr) return static_cast<std::uint32_t>(std::random_device{}());
    return static_cast<std::uint32_t>(std::strtoul(asked, nullptr, 10));
  }();
  return seed;
}

}  // namespace sluice::kernel

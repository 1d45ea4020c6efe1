// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/seed.h"

#include "tests/random_config.h"

namespace sluice::kernel {

std::uint64_t test_seed() {
  static const std::uint64_t seed = random_seed();
  return seed;
}

}  // namespace sluice::kernel

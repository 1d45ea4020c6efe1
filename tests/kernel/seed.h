// SPDX-License-Identifier: GPL-2.0-or-later
// The randomness of the tests. A failing run is repeated with the seed that it printed.
#pragma once

#include <cstdint>
#include <random>

namespace sluice::kernel {

// The number in the environment variable SLUICE_SEED, else a random one; the same in the whole run.
std::uint64_t test_seed();

using Random = std::mt19937_64;

// From `low` to `high`, both included.
template <class T>
T pick(Random& random, T low, T high) {
  return static_cast<T>(std::uniform_int_distribution<std::int64_t>(
      static_cast<std::int64_t>(low), static_cast<std::int64_t>(high))(random));
}

template <class Container>
const auto& pick_of(Random& random, const Container& choices) {
  return choices[pick<std::size_t>(random, 0, choices.size() - 1)];
}

// True once in `n` times.
inline bool one_in(Random& random, int n) {
  return pick(random, 1, n) == 1;
}

}  // namespace sluice::kernel

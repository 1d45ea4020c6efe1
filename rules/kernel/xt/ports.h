// SPDX-License-Identifier: GPL-2.0-or-later
// The port ranges of struct xt_tcp and struct xt_udp: first and last in host byte order, 0 to
// 65535 for "any", with a bit of invflags for the negation.
#pragma once

#include <cstdint>
#include <optional>

#include "rules/rule.h"

namespace sluice::kernel::xt {

inline void store_ports(const std::optional<PortMatch>& match, std::uint16_t (&ports)[2],
                        std::uint8_t& flags, unsigned invert) {
  ports[0] = match ? match->ports.first : std::uint16_t{0};
  ports[1] = match ? match->ports.last : std::uint16_t{0xffff};
  if (match && match->negated) flags = static_cast<std::uint8_t>(flags | invert);
}

inline std::optional<PortMatch> load_ports(const std::uint16_t (&ports)[2], std::uint8_t flags,
                                           unsigned invert) {
  const bool negated = (flags & invert) != 0;
  if (ports[0] == 0 && ports[1] == 0xffff && !negated) return std::nullopt;
  return PortMatch{.ports = {.first = ports[0], .last = ports[1]}, .negated = negated};
}

}  // namespace sluice::kernel::xt

// SPDX-License-Identifier: GPL-2.0-or-later
// The mark of mode tproxy, read back from the rules: the one who removes need not know the
// configuration that wrote them.
#pragma once

#include <cstdint>
#include <optional>

#include "rules/rule.h"

namespace sluice {

// The mark that mangle's first TPROXY rule in chain ISTIO_TPROXY sets, else the one of
// ISTIO_INBOUND's first rule if that is `-p tcp -m mark --mark MARK -j RETURN`. Only marks that
// stand for all 32 bits and are not 0; nothing if there is none.
std::optional<std::uint32_t> tproxy_mark(const TableRules& mangle);
std::optional<std::uint32_t> tproxy_mark(const Ruleset& live);

}  // namespace sluice

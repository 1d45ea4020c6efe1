// SPDX-License-Identifier: GPL-2.0-or-later
// Whether rules that are there are a whole rule set: what some configuration of Sluice, or of
// Istio, writes. A rule set that was edited, or of which a part is missing, is what none writes.
#pragma once

#include <optional>

#include "rules/backend.h"
#include "rules/redirect.h"

namespace sluice {

// A configuration whose interception() in a pod with these families is exactly what is ours in
// `live`, read off the rules; nothing if there is none. Sound by construction: what was read off is
// turned into rules again and compared (diff.h). `live` may hold foreign rules.
//
// Complete for what redirect_ruleset() writes in every layout: where it gives nothing, no
// configuration wrote these rules.
std::optional<RedirectConfig> recognise(const Interception& live);

}  // namespace sluice

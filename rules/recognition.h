// SPDX-License-Identifier: GPL-2.0-or-later
// Whether rules that are there are a whole rule set: what some configuration of Sluice, or of
// Istio, writes. A rule set that was edited, or of which a part is missing, is what none writes --
// unless what is left is another configuration's: where the last rule of ISTIO_OUTPUT is gone in
// all families, that is what an empty list of included CIDRs gives, and where all of IPv6 is gone,
// what `never` gives. Only who knows what was wanted can tell.
#pragma once

#include <optional>

#include "rules/backend.h"
#include "rules/redirect.h"

namespace sluice {

// What to make of the one exception that recognise() names.
enum class Ambiguous { refused, accepted };

// A configuration whose interception() in `pod` is what is ours in `live`, read off the rules:
// exactly or, if there is none, in canonical form (canonical.h); nothing if there is none either.
// Sound by construction: what was read off is turned into rules again and compared as diff.h does.
// `live` may hold foreign rules, and anything else that a tenant may have written: time and memory
// grow with its size only. Throws nothing but what comes of having no memory.
//
// Complete for what interception() writes of settings that parse.h and consistency.h accept, in
// every layout, and for its canonical form, which nf_tables gives back: where it gives nothing, no
// such settings wrote these rules. Lists may hold an element twice, which Istio, unlike parse.h,
// writes twice, but not in canonical form. If several configurations write the
// same rules it is one of them, of the first layout that does; what cannot be seen in the rules has
// its default or, where that would be a contradiction, something else. `ipv6` is always, block or
// never, whichever policy led there. The one exception: included CIDRs of which one family's are
// 0.0.0.0/0 or ::/0 alone and the other's, with rules of its own, are none. That is also what is
// left of "*" when one rule is taken out, and who did that must not pass where anything is to come
// of it (`exception`).
//
// Of `pod` counts what is not in the rules: ::6/128 must be on lo if lo can have it, and IPv6's
// TPROXY route is needed only if the pod has a usable IPv6 address. With IPv6 redirected ::6/128
// may be there without need: Istio does not ask whether anything inbound is captured.
std::optional<RedirectConfig> recognise(const Interception& live, const PodNetwork& pod = {},
                                        Ambiguous exception = Ambiguous::refused);

}  // namespace sluice

// SPDX-License-Identifier: GPL-2.0-or-later
// What other programs put into a namespace: rules, some of which look much like ours.
#pragma once

#include <string>
#include <vector>

#include "rules/ip.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {

// Rules with counters in raw, mangle, nat and filter, own chains of a foreign mesh among them.
// None of it is ours, whatever configuration is applied before or after.
void add_foreign_rules(const TestNetns& netns, Family family);

// More of them, before and behind what is there.
void surround_with_foreign_rules(const TestNetns& netns, Family family);

// iptables-save -c, but without the counters of policies: libiptc zeroes them with every commit,
// the vendor's own too.
std::string counted_rules(const TestNetns& netns, Family family);

// `dump`, the output of iptables-save -c, without what is ours: chains with Istio's names, jumps
// to them, and the uncounted RETURN rules of `interfaces` in nat's PREROUTING and OUTPUT. Written
// anew instead of asking rules/ownership.h, which is what the tests test.
std::string without_ours(const std::string& dump, const std::vector<std::string>& interfaces);

}  // namespace sluice::kernel

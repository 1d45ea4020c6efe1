// SPDX-License-Identifier: GPL-2.0-or-later
// Reading a configuration off rules, which may be anybody's: what does not look like a rule that
// the policy writes is passed over, so what is read is a guess that must be checked. Part of the
// implementation of recognition.h.
//
// IPv4 is redirected in every pod, and what is asked for without a family is read off its rules.
// IPv6's tell its own addresses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rules/backend.h"
#include "rules/layout.h"
#include "rules/redirect.h"
#include "rules/rule.h"

namespace sluice::recognition {

// What is ours (ownership.h); without tables where a family has nothing.
struct OwnRules {
  Ruleset ipv4 = {.family = Family::ipv4};
  Ruleset ipv6 = {.family = Family::ipv6};
  // In canonical form (canonical.h): neighbours' order is not that of the lists, what one list asks
  // for may have swallowed another's.
  bool canonical = false;
};

// The configuration of that layout which these rules look like.
RedirectConfig read_config(const OwnRules& ours, const Layout& layout,
                           const std::vector<TproxyRoute>& routes);

// Whether parse.h and consistency.h would let it be, but for elements that stand twice. What passes
// makes a bounded number of rules.
bool is_possible(const RedirectConfig& config);

// ---- the parts of read_config(); each fills in what it finds, in this order

void read_outbound(const OwnRules& ours, RedirectConfig& config);
void read_dns(const OwnRules& ours, RedirectConfig& config);
// Needs the mode, and that is in what read_outbound() found.
void read_inbound(const OwnRules& ours, RedirectConfig& config);
// Needs the included CIDRs and the mode.
void read_interfaces(const OwnRules& ours, RedirectConfig& config);

// ---- shared

// The rules of a chain, none if it is not there.
const std::vector<Rule>& rules_in(const Ruleset& ruleset, Table table, const char* chain);
// What Istio's layouts insert for virtual interfaces shows the included CIDRs in their order, which
// canonical form does not change where there are several interfaces. Nothing if it is not there.
std::optional<std::vector<Cidr>> inserted_cidrs(const Ruleset& ruleset);
// nat, or filter where that is what captures: in a family that is blocked.
Table capturing_table(const Ruleset& ruleset);

// The port besides DNS that is excluded from the sidecar's calls to its own pod, that of the tunnel
// in layouts that have one; 0 if there is no such call.
std::uint16_t excluded_from_self_calls(const Ruleset& ipv4);

bool returns(const Rule& rule);
bool jumps_to(const Rule& rule, const char* chain);
// Whether nothing but these parts of the rule is set: neither interfaces nor addresses.
bool has_no_path(const Rule& rule);
// The ports of a rule that matches nothing but `-p PROTOCOL --dport PORTS`.
std::optional<PortRange> only_ports(const Rule& rule, Protocol protocol);
// The prefix that a match stands for; without a match, every address of the family.
Cidr cidr_of(const std::optional<AddressMatch>& match, Family family);

}  // namespace sluice::recognition
